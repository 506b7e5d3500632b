"""A training in a run's folder: from wherever the run stands to its end, with everything saved on the way."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import cached_property

from pydantic import ValidationError

from layerkit.checkpoints import checkpoint
from layerkit.data.noise_level import NoiseRange, estimate_range
from layerkit.data.sources import load_dataset
from layerkit.denoising.denoiser import Denoiser
from layerkit.errors import CheckpointError, DataError, DivergedError, StoppedError, UserError
from layerkit.registry.catalogue import Catalogue
from layerkit.spec.architecture import Architecture, Training, build
from layerkit.spec.loading import load_architecture
from layerkit.spec.requirements import with_requirements
from layerkit.training.cadence import Cadence
from layerkit.training.inspection import Inspector
from layerkit.training.loop import EpochDone, StepDone, fit
from layerkit.training.progress import LossCurve, Point, Position
from layerkit.training.run import Run
from layerkit.training.trainer import Trainer


class Session:
    """The training of a run, ready to begin or to go on.

    A run that goes on has the same bits as one that was never interrupted.

    Args:
        run: where the spec, the data's name and the last checkpoint are read, and everything is written.
        catalogue: of the components that may be named.
        cadence: when to save in the middle of an epoch.
        epochs: replaces the number of epochs that the run was started with; from there on a schedule, and a loss that
            looks at the progress, run over the new number.

    Attributes:
        architecture: the run's, with the packages that are installed now.
        changed_packages: the packages it was begun with, where others are installed now.
        samples: pairs in one epoch.
        curve: the loss so far.

    Raises:
        UserError: when the run cannot go on: its files are damaged, or its data are gone.
    """

    def __init__(
        self, run: Run, catalogue: Catalogue, cadence: Cadence | None = None, epochs: int | None = None
    ) -> None:
        self.run, self.cadence = run, cadence or Cadence()
        self.settings = run.read_settings()
        restored = checkpoint.load(run.checkpoint, catalogue=catalogue) if run.checkpoint.exists() else None
        begun = restored.architecture if restored else load_architecture(run.architecture, catalogue=catalogue)
        self.architecture = with_requirements(_for_epochs(begun, epochs), catalogue)
        self.changed_packages = _changed_packages(begun, self.architecture)
        training = self.architecture.trained
        network = restored.network if restored else build(self.architecture, training.seed)
        loss = training.loss.build()
        schedule = training.schedule and training.schedule.build()
        self.trainer = Trainer(network, loss, training.optimizer.build(network.param()), schedule)
        self.inspector = Inspector(network, loss, self.architecture, catalogue)
        position = Position()
        if restored:
            self.trainer.optimizer.load_state_dict(restored.optimizer_state)
            position = _position(restored, run)
        self.dataset = load_dataset(
            self.settings.data,
            self.architecture.input.shape,
            training.noise.build(),
            training.seed,
            training.samples,
            self.settings.clean_targets,
        )
        if self.dataset.train is None:
            raise DataError(f"{self.settings.data} has nothing to train on: {self.dataset.description}")
        self.samples = len(self.dataset.train)
        self.denoiser = Denoiser(network, self.architecture.input.shape)
        if position.epoch > training.epochs:
            raise UserError(f"{run.folder} has been trained for {position.epoch} epochs already")
        if position.epoch < training.epochs:
            run.rewind(position.metrics)
        run.write_architecture(self.architecture)
        self.curve = _curve(run, position)
        self._place, self._recorded = (position.epoch, position.batch), position.metrics

    @property
    def position(self) -> Position:
        """How far the training has come."""
        (epoch, batch), curve = self._place, self.curve
        return Position(
            epoch=epoch,
            batch=batch,
            pictures=curve.pictures,
            point_pictures=curve.point_pictures,
            point_loss=curve.point_loss,
            metrics=self._recorded,
        )

    def events(self, asked_to_stop: Callable[[], int | None] = lambda: None) -> Iterator[StepDone | EpochDone]:
        """Train, save, and yield what happens as it happens.

        Args:
            asked_to_stop: called after every step and epoch; gives the signal that asks for the end, or None.

        Raises:
            DivergedError: when the loss or the weights are not finite any more; the last checkpoint is kept.
            BrokenLayerError: when a layer does not do what it must.
            RunError: when something cannot be written; the last checkpoint is kept.
            StoppedError: when it was asked to stop, and has saved.
        """
        training = self.architecture.trained
        self.cadence.saved()
        events = fit(
            self.trainer,
            self.dataset,
            self.denoiser,
            epochs=training.epochs,
            batch_size=training.batch_size,
            epoch=self.position.epoch,
            batch=self.position.batch,
            inspector=self.inspector,
        )
        try:
            for event in events:
                due = self._follow(event)
                signal = asked_to_stop()
                if due or signal is not None:
                    self._save()
                yield event
                if signal is not None:
                    raise StoppedError(self._stopped(), signal)
        except DivergedError as error:
            raise DivergedError(f"{error}{self._remedy()}") from None

    def _follow(self, event: StepDone | EpochDone) -> bool:
        """Record what happened, and return whether it is time to save."""
        if isinstance(event, EpochDone):
            values = {"epoch": event.epoch, "seconds": event.train_seconds}
            values |= asdict(event.evaluation) if event.evaluation else {}
            self._recorded = self.run.record("epoch", values)
            self._place = event.epoch, 0
            return True
        point = self.curve.add(event.loss, event.pictures)
        if point:
            # A disk takes as long as some steps; that the next checkpoint waits for it is soon enough.
            values = {"epoch": event.epoch + 1, **asdict(point)}
            self._recorded = self.run.record("loss", values, durable=False)
        self._place = event.epoch, event.batch + 1
        return self.cadence.due()

    def _save(self) -> None:
        self.run.check()
        self.run.sync()
        try:
            checkpoint.save(
                self.run.checkpoint,
                self.trainer.network,
                self.architecture,
                optimizer=self.trainer.optimizer,
                position=self.position.model_dump(),
                noise_range=self.noise_range,
            )
        except CheckpointError:
            raise DivergedError("the weights are not finite any more; try a smaller learning rate") from None
        self.cadence.saved()

    @cached_property
    def noise_range(self) -> NoiseRange | None:
        """How strong the noise of the training inputs is; None where they are too small to tell."""
        inputs, _ = self.dataset.train.chunk(0, 0)
        return estimate_range(inputs)

    def _stopped(self) -> str:
        command = f"layerkit train --resume {shlex.quote(str(self.run.folder))}"
        return f"stopped and saved after {self.position.pictures:,} pictures; go on with: {command}"

    def _remedy(self) -> str:
        text = f", such as --lr {self.trainer.base_lr / 4:g}"
        return f"{text}; the last good checkpoint is {self.run.checkpoint}" if self.run.checkpoint.exists() else text


def _for_epochs(architecture: Architecture, epochs: int | None) -> Architecture:
    """Return the architecture with another number of epochs, checked as every spec is."""
    if epochs is None:
        return architecture
    training = architecture.trained
    try:
        changed = Training.model_validate({**dict(training), "epochs": epochs})
    except ValidationError as error:
        raise UserError(f"epochs = {epochs}: {error.errors()[0]['msg']}") from None
    return architecture.model_copy(update={"training": changed})


def _changed_packages(before: Architecture, now: Architecture) -> list[str]:
    """Return the packages of components that were there when the run was begun and are not those of now."""
    old, new = (
        {package for names in (architecture.requires or {}).values() for package in names.values()}
        for architecture in (before, now)
    )
    return sorted(old - new)


def _position(restored: checkpoint.Checkpoint, run: Run) -> Position:
    try:
        return Position.model_validate_json(json.dumps(restored.position))
    except ValidationError:
        raise CheckpointError(f"{run.checkpoint} does not say how far the training had come") from None


def _curve(run: Run, position: Position) -> LossCurve:
    """Return the curve up to a position, from what was recorded; a record that is no point is left out."""
    points = []
    for event in run.events():
        pictures, loss = event.get("pictures"), event.get("loss")
        if event.get("event") == "loss" and isinstance(pictures, int) and isinstance(loss, float):
            points.append(Point(pictures, loss))
    return LossCurve(points, position.pictures, position.point_pictures, position.point_loss)
