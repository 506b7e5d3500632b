"""A training as a person sees it: its progress on a terminal, line by line elsewhere, and its results in a folder."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict

import click

from layerkit import checkpoint
from layerkit.architecture import Architecture
from layerkit.build import build
from layerkit.cli.context import decibels, printer
from layerkit.cli.tables import quality_table
from layerkit.data import Dataset, load_dataset
from layerkit.denoise import Denoiser
from layerkit.errors import DataError
from layerkit.evaluate import Evaluation, restore
from layerkit.figures import loss_curve, montage
from layerkit.fit import EpochDone, StepDone, fit
from layerkit.run import Run
from layerkit.trainer import DivergedError, Trainer

PICTURES_A_POINT = 1_000
"""Pictures over which the loss is averaged for one point of the curve."""
POINTS_A_LINE = 10
"""Points between two lines where there is no terminal."""


def train_run(architecture: Architecture, data: str, clean_targets: bool, run: Run, quiet: bool) -> None:
    """Train ``architecture`` on ``data``, and write everything into ``run``.

    Raises:
        DataError: when ``data`` has nothing to train on.
        DivergedError: when the loss is not finite any more.
    """
    training = architecture.training
    network = build(architecture, training.seed)
    trainer = Trainer(network, training.loss.build(), training.optimizer.build(network.param()))
    dataset = load_dataset(
        data, architecture.input.shape, training.noise.build(), training.seed, training.samples, clean_targets
    )
    if dataset.train is None:
        raise DataError(f"{data} has nothing to train on: {dataset.description}")
    denoiser = Denoiser(network, architecture.input.shape)
    say = _silent if quiet else click.echo
    targets = "clean pictures" if clean_targets else "other noisy versions (Noise2Noise)"
    say(f"{architecture.name}: {sum(p.numel() for p, _ in network.param()):,} parameters, targets are {targets}")
    say(dataset.description)
    curve = _Curve(run)
    evaluation = None
    try:
        with _progress(training.epochs, len(dataset.train), quiet) as progress:
            for event in fit(trainer, dataset, denoiser, epochs=training.epochs, batch_size=training.batch_size):
                if isinstance(event, StepDone):
                    curve.add(event)
                    progress.step(event, curve)
                else:
                    evaluation = event.evaluation
                    checkpoint.save(
                        run.checkpoint, network, architecture, optimizer=trainer.optimizer, position={"epoch": event.epoch}
                    )
                    run.record("epoch", _epoch_values(event))
                    progress.epoch(event)
    except DivergedError as error:
        kept = f"; the last good checkpoint is {run.checkpoint}" if run.checkpoint.exists() else ""
        raise DivergedError(f"{error}, such as --lr {trainer.optimizer.lr / 4:g}{kept}") from None
    finally:
        curve.draw(f"{architecture.name}: training loss")
    _conclude(run, dataset, denoiser, evaluation)


def _epoch_values(event: EpochDone) -> dict:
    values = {"epoch": event.epoch, "seconds": event.train_seconds}
    return values | (asdict(event.evaluation) if event.evaluation else {})


def _conclude(run: Run, dataset: Dataset, denoiser: Denoiser, evaluation: Evaluation | None) -> None:
    if evaluation is not None:
        noisy, clean = (pictures[:: max(1, len(pictures) // 5)][:5] for pictures in dataset.validation)
        montage(run.montage, noisy, restore(denoiser, noisy), clean)
        printer().print(quality_table(evaluation, "validation pictures"))
        if evaluation.learned_nothing:
            click.echo(_nothing_learned(evaluation))
    written = [run.checkpoint, run.architecture, run.metrics, run.loss_curve, run.montage]
    click.echo("written: " + ", ".join(str(path) for path in written if path.exists()))


def _nothing_learned(evaluation: Evaluation) -> str:
    return (
        f"warning: {decibels(evaluation.denoised.psnr_mean)} is no better than one constant colour "
        f"({decibels(evaluation.constant)}): the network has learned nothing; try another learning rate"
    )


def _silent(message: str) -> None:
    pass


class _Curve:
    """The loss against the pictures seen, a point every thousand pictures; each point goes to the metrics at once."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.seen: list[int] = []
        self.losses: list[float] = []
        self.pictures = self.start_of_point = 0
        self.sum = 0.0

    def add(self, event: StepDone) -> None:
        self.pictures += event.pictures
        self.sum += event.loss * event.pictures
        if self.pictures - self.start_of_point >= PICTURES_A_POINT:
            self.close_point(event.epoch + 1)

    def close_point(self, epoch: int) -> None:
        loss = self.sum / (self.pictures - self.start_of_point)
        self.seen.append(self.pictures)
        self.losses.append(loss)
        self.run.record("loss", {"epoch": epoch, "pictures": self.pictures, "loss": loss})
        self.start_of_point, self.sum = self.pictures, 0.0

    def draw(self, title: str) -> None:
        if self.seen:
            loss_curve(self.run.loss_curve, self.seen, self.losses, title)


class _Lines:
    """Progress where there is no terminal: a line now and then."""

    def __init__(self, epochs: int, quiet: bool) -> None:
        self.epochs, self.quiet = epochs, quiet
        self.points, self.start = 0, time.perf_counter()

    def step(self, event: StepDone, curve: _Curve) -> None:
        if not self.quiet and len(curve.seen) >= self.points + POINTS_A_LINE:
            self.points = len(curve.seen)
            speed = curve.pictures / (time.perf_counter() - self.start)
            click.echo(
                f"epoch {event.epoch + 1}/{self.epochs}: {curve.pictures:,} pictures, loss {curve.losses[-1]:.5f}, "
                f"{speed:,.0f} pictures/s"
            )

    def epoch(self, event: EpochDone) -> None:
        if not self.quiet:
            click.echo(_epoch_line(event, self.epochs))


def _epoch_line(event: EpochDone, epochs: int) -> str:
    text = f"epoch {event.epoch}/{epochs} took {event.train_seconds:.0f} s"
    if event.evaluation is None:
        return text
    noisy, denoised = event.evaluation.noisy, event.evaluation.denoised
    text += f": validation {decibels(denoised.psnr_mean)} (noisy {decibels(noisy.psnr_mean)})"
    if denoised.ssim is not None:
        text += f", SSIM {denoised.ssim:.3f} (noisy {noisy.ssim:.3f})"
    return text + (". " + _nothing_learned(event.evaluation) if event.evaluation.learned_nothing else "")


class _Bars:
    """Progress on a terminal: a bar an epoch, with loss, speed and time left."""

    INTERVAL = 0.1
    """Seconds between two looks; looking at every step would cost more than some steps."""

    def __init__(self, progress, epochs: int, samples: int) -> None:
        self.progress, self.epochs, self.samples = progress, epochs, samples
        self.task, self.done, self.last, self.start = None, 0, 0.0, 0.0

    def step(self, event: StepDone, curve: _Curve) -> None:
        now = time.perf_counter()
        if self.task is None:
            label = f"epoch {event.epoch + 1}/{self.epochs}"
            self.task = self.progress.add_task(label, total=self.samples, loss="", speed="")
            self.done, self.start = 0, now
        self.done += event.pictures
        if now - self.last >= self.INTERVAL:
            self.last = now
            loss = curve.losses[-1] if curve.losses else event.loss
            speed = self.done / max(now - self.start, 1e-9)
            self.progress.update(self.task, completed=self.done, loss=f"loss {loss:.5f}", speed=f"{speed:,.0f} pictures/s")

    def epoch(self, event: EpochDone) -> None:
        self.progress.remove_task(self.task)
        self.task = None
        self.progress.console.print(_epoch_line(event, self.epochs))


@contextmanager
def _progress(epochs: int, samples: int, quiet: bool) -> Iterator[_Bars | _Lines]:
    console = printer()
    if quiet or not console.is_terminal:
        yield _Lines(epochs, quiet)
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[loss]}"),
        TextColumn("{task.fields[speed]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        yield _Bars(progress, epochs, samples)
