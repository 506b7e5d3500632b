"""Trains a denoiser on pictures in memory, in three lines.

The interface is that of the course EE-559 "Deep Learning" of EPFL: ``train`` and ``predict`` on tensors with values
from 0 to 255. Training works as on the command line: it is a run in a folder, which every command accepts.
"""

from __future__ import annotations

import shlex
import signal
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Self

import torch
from rich.console import Console

from layerkit.checkpoints.checkpoint import load
from layerkit.contracts.printing import described, short
from layerkit.contracts.tree import summary
from layerkit.data.arrays import Array, ArrayPairs, Given, pictures
from layerkit.denoising.denoiser import Denoiser
from layerkit.denoising.evaluation import Evaluation
from layerkit.devices import AUTO, device_named
from layerkit.errors import CheckpointError, DataError, SpecError, StoppedError, UserError
from layerkit.registry.catalogue import installed
from layerkit.spec.architecture import Architecture
from layerkit.spec.loading import DEFAULT, load_architecture
from layerkit.spec.requirements import with_requirements
from layerkit.training.bars import bars
from layerkit.training.display import Callback, train_shown
from layerkit.training.interruption import going_on_with, interruptible
from layerkit.training.run import CHECKPOINT, Run, Settings, last_checkpoint_in
from layerkit.training.session import Session


class Model:
    """A denoiser that learns from pictures in memory.

    ::

        model = layerkit.Model()
        model.train(noisy, noisy_again, num_epochs=5)
        clean = model.predict(noisy)

    Pictures are torch tensors or numpy arrays (N, C, H, W), uint8 or floats, with values from 0 to 255.

    Each training is a separate run: a folder ``NAME``, ``NAME-2``, ... in ``runs``, where NAME is the network's name.
    ``layerkit train --resume``, ``evaluate`` and ``denoise`` accept it like any other run. The pairs are written into
    ``runs`` too, as a data file.

    Args:
        architecture: the network and how it is trained: a file, a JSON text or an architecture. By default the network
            that comes with layerkit, which then takes pictures of as many channels as those it is trained on.
        overrides: values by path that replace those of the architecture, such as ``{"training.seed": 1}``.
        runs: the folder of all runs.
        device: where the network is trained and works, see :func:`layerkit.devices.device_named`; a run goes on on any.

    Attributes:
        architecture: the architecture of the network.
        folder: the folder of the run that the network comes from; None where there is none.

    Raises:
        SpecError: when the architecture is not valid.
        DeviceError: when there is no such device.
    """

    def __init__(
        self,
        architecture: str | Path | Architecture | None = None,
        *,
        overrides: Mapping[str, Any] | None = None,
        runs: str | Path = "runs",
        device: str | torch.device = AUTO,
    ) -> None:
        source = architecture.to_json() if isinstance(architecture, Architecture) else architecture
        self.architecture = load_architecture(source or DEFAULT, overrides=overrides)
        self.runs, self.device = Path(runs), device_named(device)
        self.folder: Path | None = None
        self._is_default, self._overrides = source is None, dict(overrides or {})
        self._denoiser: Denoiser | None = None
        self._epochs = 0

    def __repr__(self) -> str:
        network = "not trained" if self._denoiser is None else summary(self._denoiser.network)
        parts = {"architecture": short(self.architecture.name), "network": network, "folder": short(self.folder)}
        return described("Model", parts)

    @classmethod
    def resume(
        cls,
        folder: str | Path,
        epochs: int | None = None,
        *,
        callback: Callback | None = None,
        quiet: bool = False,
        device: str | torch.device = AUTO,
    ) -> Self:
        """Continue a run to its end, as ``layerkit train --resume`` does, and return its model.

        Args:
            folder: the folder of the run, started by this class or by the command line.
            epochs: replaces the number of epochs that the run was started with.
            callback, quiet: as in :meth:`train`.
            device: as the class takes it.

        Raises:
            UserError: when there is no run, or it cannot be continued.
            RunError: as in :meth:`train`.
        """
        with Run.open(folder) as run:
            model = cls(run.architecture, runs=run.folder.parent, device=device)
            model._train(run, epochs, callback, quiet)
        return model

    def train(
        self,
        train_input: Array,
        train_target: Array,
        num_epochs: int,
        *,
        validation: tuple[Array, Array] | None = None,
        callback: Callback | None = None,
        quiet: bool = False,
    ) -> Evaluation | None:
        """Train, show the progress if there is a terminal, and return the validation after the last epoch.

        A new model starts a training, or continues the same training if it was started before and is not finished. A
        model that has been trained, or was loaded from a run, continues that run for ``num_epochs`` more, on the same
        pairs; from then on a schedule is stretched over the new number of epochs.

        Ctrl-C and SIGTERM save before they stop.

        Args:
            train_input: noisy pictures (N, C, H, W), N at least 1, values from 0 to 255; noise may exceed this range.
            train_target: the same scenes with independent noise (Noise2Noise), or without noise.
            num_epochs: passes over all pairs, at least 1.
            validation: noisy and clean pictures, (M, C, H, W) each, measured after every epoch.
            callback: called with each :class:`~layerkit.training.loop.StepDone` and
                :class:`~layerkit.training.loop.EpochDone`.
            quiet: show nothing.

        Raises:
            ShapeError: when the shapes do not fit together.
            DataError: when the values have another dtype or are not finite, or the pictures do not fit the network.
            UserError: when the training cannot be continued with these pairs, or the architecture has no ``training``.
            RunError: when the training diverges, or a file cannot be written.
            KeyboardInterrupt: after Ctrl-C; its message says how to continue.
            StoppedError: after SIGTERM; its message says how to continue.
        """
        if type(num_epochs) is not int or num_epochs < 1:
            raise UserError(f"num_epochs must be a whole number of at least 1, not {num_epochs!r}")
        inputs, targets = pictures(train_input, "train_input"), pictures(train_target, "train_target")
        held_out = None
        if validation is not None:
            noisy, clean = validation
            held_out = pictures(noisy, "validation (noisy)"), pictures(clean, "validation (clean)")
        pairs = ArrayPairs(inputs, targets, held_out)
        new = self._denoiser is None
        with self._new_run(pairs, num_epochs) if new else self._own_run() as run:
            if Path(run.read_settings().data).name != pairs.file_name:
                raise UserError(
                    f"the network comes from {run.folder}, which was trained on other pictures; "
                    "train a new Model() on these"
                )
            return self._train(run, None if new else self._epochs + num_epochs, callback, quiet)

    def load_pretrained_model(self, path: str | Path | None = None) -> None:
        """Load the network of a checkpoint.

        Args:
            path: a checkpoint, or the folder of a run; by default the last run with this network's name.

        Raises:
            CheckpointError: when there is none, or it is damaged, or it has another network than this model.
        """
        if path is None:
            path = last_checkpoint_in(self.runs, self.architecture.name)
            if path is None:
                raise CheckpointError(
                    f'{self.runs} holds no trained network "{self.architecture.name}"; '
                    "train one, or give the path of a checkpoint"
                )
        path = Path(path)
        if path.is_dir():
            path /= CHECKPOINT
        checkpoint = load(path, device=self.device)
        architecture = checkpoint.architecture
        if not self._is_default and architecture.network != self.architecture.network:
            raise CheckpointError(
                f'{path} holds another network ("{architecture.name}") than this model ("{self.architecture.name}"); '
                "load it into a Model()"
            )
        self.architecture = architecture
        self.folder = path.parent if path.name == CHECKPOINT and (path.parent / "run.json").exists() else None
        self._denoiser = Denoiser(checkpoint.network, architecture.input.shape)
        epoch = checkpoint.position.get("epoch")
        self._epochs = epoch if isinstance(epoch, int) else 0

    def predict(self, x: Given) -> Given:
        """Return the denoised pictures, of the same kind, shape and dtype as the noisy ones.

        Args:
            x: (N, C, H, W), any N and size, values from 0 to 255; the result has such values too, rounded if they are
                uint8.

        Raises:
            UserError: when the model has neither been trained nor loaded.
            ShapeError: when x has another shape, or the network cannot take pictures of this size.
            DataError: when the values have another dtype, or are not finite.
            RunError: when the network's output is not finite.
        """
        if self._denoiser is None:
            raise UserError("the model is not trained yet; call train or load_pretrained_model first")
        return self._denoiser.predict(x)

    def _new_run(self, pairs: ArrayPairs, num_epochs: int) -> Run:
        """Return the run of a new training, or the existing run if the same training was started before."""
        architecture = self._architecture_for(pairs, num_epochs)
        return Run.start_in(self.runs, architecture, Settings(data=str(pairs.write(self.runs))))

    def _architecture_for(self, pairs: ArrayPairs, num_epochs: int) -> Architecture:
        """Return the architecture for the size and the number of these pairs."""
        self.architecture.trained  # noqa: B018 - raises an error if there is no training block
        channels, height, width = pairs.shape
        architecture = self.architecture
        if self._is_default and channels != architecture.input.channels:
            own = {"input.channels": channels, "define.channels": channels}
            architecture = load_architecture(DEFAULT, overrides=own | self._overrides)
        if channels != architecture.input.channels:
            raise DataError(
                f"train_input: pictures of {channels} x {height} x {width} (C x H x W), and the input of the network "
                f'"{architecture.name}" has {architecture.input.channels} channels; give an architecture for {channels}'
            )
        overrides = {"input.height": height, "input.width": width}
        overrides |= {"training.epochs": num_epochs, "training.samples": len(pairs)}
        try:
            architecture = load_architecture(architecture.to_json(), overrides=overrides)
        except SpecError as error:
            raise DataError(
                f'train_input: pictures of {height} x {width} do not suit the network "{architecture.name}"; '
                f"cut them to another size, such as a multiple of 8: {error}"
            ) from None
        return with_requirements(architecture, installed())

    def _own_run(self) -> Run:
        """Return the run that the network comes from."""
        if self.folder is None:
            raise UserError(
                "the network comes from a checkpoint outside of a run, so its training cannot go on; "
                "train a new Model() on these pictures"
            )
        return Run.open(self.folder)

    def _train(self, run: Run, epochs: int | None, callback: Callback | None, quiet: bool) -> Evaluation | None:
        """Train a run to its end, or to the new end ``epochs`` if it is not None, and load its network."""
        session = Session.open(run, installed(), epochs=epochs, device=self.device)
        console = Console(highlight=False)
        display = nullcontext() if quiet or not console.is_terminal else bars(session, console)
        try:
            resume = going_on_with(f"layerkit train --resume {shlex.quote(str(run.folder))}")
            with resume, interruptible() as asked_to_stop, display as shown:
                evaluation = train_shown(session, shown, asked_to_stop, callback)
        except StoppedError as stopped:
            if stopped.exit_code == 128 + signal.SIGINT:
                raise KeyboardInterrupt(str(stopped)) from None
            raise
        if not run.finished:
            run.record_end()
        self.architecture, self.folder = session.architecture, run.folder
        self._denoiser, self._epochs = session.denoiser, session.position.epoch
        return evaluation
