"""A training in a run's folder: from the present state of the run to its end, with everything saved on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import cached_property

import torch
from pydantic import ValidationError

from layerkit.checkpoints.checkpoint import save
from layerkit.data.noise_level import NoiseRange, estimate_range
from layerkit.denoising.denoiser import Denoiser
from layerkit.distributed.group import Processes
from layerkit.errors import CheckpointError, DivergedError, StoppedError, UserError
from layerkit.registry.catalogue import Catalogue
from layerkit.spec.architecture import Architecture, Training, build
from layerkit.spec.requirements import with_requirements
from layerkit.training.following import Task, begin_together, dtype_of
from layerkit.training.loop import EpochDone, StepDone, fit
from layerkit.training.preparing import Prepared, prepare
from layerkit.training.progress import LossCurve, Point, Position
from layerkit.training.run import Run, Settings
from layerkit.training.save_interval import SaveInterval
from layerkit.training.standing import Standing, standing_of


class Session:
    """The training of a run, ready to begin or to continue; :meth:`open` makes one.

    A run that was interrupted and continued is bit for bit the same as one that was not.

    Attributes:
        run: the run, in whose folder everything is written.
        settings: the settings that the run was started with.
        architecture: the architecture of the run, with the packages that are installed now.
        changed_packages: the packages at the start of the run that are now installed in another version, or missing.
        dataset: the data set; ``pairs`` is its part for training.
        curve: the loss so far.
        metrics_lost: whether the earlier metrics are missing, so that the curve begins here.
    """

    def __init__(
        self,
        run: Run,
        settings: Settings,
        standing: Standing,
        architecture: Architecture,
        prepared: Prepared,
        curve: LossCurve,
        save_interval: SaveInterval,
        group: Processes | None,
    ) -> None:
        self.run, self.settings, self.architecture = run, settings, architecture
        position, begun = standing.position, (standing.checkpoint or standing).architecture
        self.changed_packages, self.metrics_lost = _changed_packages(begun, architecture), standing.metrics_lost
        self.trainer, self.inspector = prepared.trainer, prepared.inspector
        self.dataset, self.pairs = prepared.dataset, prepared.pairs
        alone = group is None
        self.denoiser = prepared.denoiser if alone else Denoiser(prepared.trainer.network, architecture.input.shape)
        self._validating, self._group = prepared.denoiser, group
        self.curve, self.save_interval = curve, save_interval
        self._place, self._recorded = (position.epoch, position.batch), position.metrics
        self._earlier_epochs_seconds = max(0.0, position.seconds - position.epoch_seconds)
        self._epoch_seconds = position.epoch_seconds

    @classmethod
    def open(
        cls,
        run: Run,
        catalogue: Catalogue,
        save_interval: SaveInterval | None = None,
        epochs: int | None = None,
        group: Processes | None = None,
        device: torch.device | str = "cpu",
    ) -> Session:
        """Return the training of a run, in the state of its last checkpoint; nothing is written before :meth:`events`.

        Args:
            run: the run, which has the spec, the name of the data and the last checkpoint.
            catalogue: the components that may be named.
            save_interval: when to save in the middle of an epoch; by default every five minutes.
            epochs: replaces the number of epochs that the run was started with; from then on the schedule, and a loss
                that depends on the progress, are stretched over the new number.
            group: the processes that train together, of which this one is rank 0 and the others
                :func:`~layerkit.training.following.follow`; None for this one alone.
            device: where the network is trained, whatever device the checkpoint was saved on.

        Raises:
            UserError: when the run cannot be continued, because its files are damaged or contradict each other, or its
                data or packages are missing; or when several processes cannot train its network.
            ProcessError: when a process is lost.
        """
        settings, standing = run.read_settings(), standing_of(run, catalogue, device)
        restored, position = standing.checkpoint, standing.position
        architecture = with_requirements(_for_epochs(standing.architecture, epochs), catalogue)
        training = architecture.trained
        network = restored.network if restored else build(architecture, training.seed).to(device=device)
        if group is not None:
            group.from_first(Task(architecture, settings, position, dtype_of(network)).to_data())
        prepared = prepare(architecture, network, settings, catalogue, group)
        if restored:
            prepared.trainer.optimizer.load_state_dict(restored.optimizer_state)
        if position.epoch > training.epochs:
            raise UserError(f"{run.folder} has been trained for {position.epoch} epochs already")
        if group is not None:
            begin_together(group, prepared)
        return cls(
            run=run,
            settings=settings,
            standing=standing,
            architecture=architecture,
            prepared=prepared,
            curve=_curve(run, position),
            save_interval=save_interval or SaveInterval(),
            group=group,
        )

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
            seconds=self._earlier_epochs_seconds + self._epoch_seconds,
            epoch_seconds=self._epoch_seconds,
        )

    def events(self, asked_to_stop: Callable[[], int | None] = lambda: None) -> Iterator[StepDone | EpochDone]:
        """Train from the present position to the end, save on the way, and yield each step and epoch when it is done.

        Args:
            asked_to_stop: called after every step and epoch; returns the signal that asked for a stop, or None.

        Raises:
            DivergedError: when the loss or the weights are not finite any more; the last checkpoint is kept.
            BrokenLayerError: when a layer breaks its contract.
            RunError: when something cannot be written; the last checkpoint is kept.
            StoppedError: when it was asked to stop; everything is saved.
        """
        training, position = self.architecture.trained, self.position
        if position.epoch < training.epochs:
            # Steps after the last checkpoint are taken, and recorded, again.
            self.run.rewind(position.metrics)
        self.run.write_architecture(self.architecture)
        if self.metrics_lost:
            self._save()  # the existing checkpoint has the checksum of the lost metrics
        self.save_interval.restart()
        events = fit(
            self.trainer,
            self.pairs,
            self.dataset.validation,
            self._validating,
            epochs=training.epochs,
            batch_size=training.batch_size,
            epoch=position.epoch,
            batch=position.batch,
            seconds=position.epoch_seconds,
            inspector=self.inspector,
        )
        if self._group is not None:
            self._group.asked_to_stop = asked_to_stop
        try:
            for event in events:
                self._record(event)
                settled = isinstance(event, EpochDone) or event.settled
                signal = None
                if settled:
                    signal = asked_to_stop() if self._group is None else self._group.signal
                    if isinstance(event, EpochDone) or self.save_interval.over or signal is not None:
                        self._save()
                yield event
                if signal is not None:
                    position = self.position
                    done = f"{position.pictures:,} pictures in {position.seconds:,.0f} s"
                    raise StoppedError(f"stopped and saved after {done}", signal)
        except DivergedError as error:
            raise DivergedError(f"{error}{self._remedy()}") from None

    def _record(self, event: StepDone | EpochDone) -> None:
        """Write down what happened, and move on to the next step."""
        if isinstance(event, EpochDone):
            values = {"epoch": event.epoch, "seconds": event.train_seconds}
            # The seconds are those of the epoch, not those of the evaluation.
            evaluation = asdict(event.evaluation) if event.evaluation else {}
            self._recorded = self.run.record("epoch", values | evaluation | values)
            self._place = event.epoch, 0
            self._earlier_epochs_seconds += event.train_seconds
            self._epoch_seconds = 0.0
            return
        point = self.curve.add(event.loss, event.pictures)
        if point:
            # Waiting for the disk takes as long as some steps, and it is enough that the next checkpoint waits.
            values = {"epoch": event.epoch + 1, **asdict(point)}
            self._recorded = self.run.record("loss", values, durable=False)
        self._place, self._epoch_seconds = (event.epoch, event.batch + 1), event.seconds
        self.save_interval.count_step()

    def _save(self) -> None:
        self.run.check()
        self.run.sync()
        certain = {
            "metrics_sha256": self.run.metrics_checksum(self._recorded),
            "settings": self.settings.model_dump(exclude={"format"}),
        }
        try:
            save(
                self.run.checkpoint,
                self.trainer.network,
                self.architecture,
                optimizer=self.trainer.optimizer,
                position=self.position.model_copy(update=certain).model_dump(),
                noise_range=self.noise_range,
            )
        except CheckpointError:
            raise DivergedError("the weights are not finite any more; try a smaller learning rate") from None
        self.save_interval.restart()

    @cached_property
    def noise_range(self) -> NoiseRange | None:
        """How strong the noise of the training inputs is; None where they are too small to tell."""
        inputs, _ = self.pairs.chunk(0, 0)
        return estimate_range(inputs)

    def _remedy(self) -> str:
        text = f", such as {self.trainer.base_lr / 4:g}"
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
    """Return the packages at the start of the run that are now installed in another version, or missing."""
    old, new = (
        {package for names in (architecture.requires or {}).values() for package in names.values()}
        for architecture in (before, now)
    )
    return sorted(old - new)


def _curve(run: Run, position: Position) -> LossCurve:
    """Return the recorded curve up to a position; records that are not points of the curve are left out."""
    points = []
    for event in run.events(position.metrics):
        pictures, loss = event.get("pictures"), event.get("loss")
        if event.get("event") == "loss" and isinstance(pictures, int) and isinstance(loss, float):
            points.append(Point(pictures, loss))
    return LossCurve(points, position.pictures, position.point_pictures, position.point_loss)
