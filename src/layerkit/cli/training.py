"""Runs a training on the command line: prints what is trained on which data, its progress and its results."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import click
import torch

from layerkit.cli.context import printer
from layerkit.cli.progress import progress_of
from layerkit.cli.tables import classical_results, quality_table
from layerkit.denoising.evaluation import Evaluation, evaluate, examples
from layerkit.distributed.group import Processes
from layerkit.drawing.loss_curve import loss_curve
from layerkit.drawing.montage import montage
from layerkit.errors import LayerkitError, RunError
from layerkit.registry.catalogue import Catalogue
from layerkit.training.bars import nothing_learned
from layerkit.training.display import train_shown
from layerkit.training.following import follow
from layerkit.training.interruption import going_on_with, interruptible
from layerkit.training.run import Run
from layerkit.training.save_interval import SaveInterval
from layerkit.training.session import Session


def train_run(
    run: Run,
    catalogue: Catalogue,
    save_interval: SaveInterval,
    epochs: int | None,
    quiet: bool,
    group: Processes | None = None,
    device: torch.device | str = "cpu",
) -> None:
    """Train ``run`` from its present position to its end, and write everything into its folder.

    Args:
        run: a new run, or one that is to be continued.
        catalogue: the components that may be named.
        save_interval: when to save in the middle of an epoch.
        epochs: replaces the number of epochs that the run was started with.
        quiet: whether to print only the last table.
        group: the processes that train together, of which this one is rank 0; None for this one alone.
        device: where the network is trained.

    Raises:
        LayerkitError: as :meth:`layerkit.training.session.Session.open` and its events do.
    """
    session = Session.open(run, catalogue, save_interval, epochs, group, device)
    if not quiet:
        _introduce(session)
    try:
        with (
            going_on_with(f"layerkit train --resume {shlex.quote(str(run.folder))}"),
            interruptible() as asked_to_stop,
            progress_of(session, quiet) as progress,
        ):
            evaluation = train_shown(session, progress, asked_to_stop)
    except LayerkitError:
        with suppress(RunError):  # the error that stopped the training is more important
            _draw_curve(session)
        raise
    _conclude(session, evaluation)


def follow_run(group: Processes, catalogue: Catalogue) -> None:
    """Take part in the training that rank 0 of the group leads, and print nothing.

    Raises:
        LayerkitError: as :func:`layerkit.training.following.follow` does.
    """
    with interruptible() as asked_to_stop:
        follow(group, catalogue, asked_to_stop)


def _introduce(session: Session) -> None:
    architecture, position = session.architecture, session.position
    parameters = sum(parameter.numel() for parameter, _ in session.trainer.network.param())
    targets = "clean pictures" if session.settings.clean_targets else "other noisy versions (Noise2Noise)"
    click.echo(f"{architecture.name}: {parameters:,} parameters, targets are {targets}")
    click.echo(session.dataset.description)
    if session.changed_packages:
        click.echo(f"note: started with {', '.join(session.changed_packages)}; another version is installed now")
    if session.metrics_lost:
        click.echo(f"note: {session.run.metrics} is missing, so the loss curve starts here")
    if position.epoch >= architecture.trained.epochs:
        click.echo(f"{session.run.folder} has been trained for its {architecture.trained.epochs} epochs")
    elif position.pictures:
        click.echo(
            f"continuing {session.run.folder} in epoch {position.epoch + 1}, "
            f"after {position.pictures:,} pictures in {position.seconds:,.0f} s"
        )


def _draw_curve(session: Session) -> None:
    points = session.curve.points
    if points:
        title = f"{session.architecture.name}: training loss"
        loss_curve(
            session.run.loss_curve, [point.pictures for point in points], [point.loss for point in points], title
        )


@contextmanager
def _told_if_not_written() -> Iterator[None]:
    """Print a warning if a figure inside ``with`` cannot be written; this is no error, since the training is saved."""
    try:
        yield
    except RunError as error:
        click.echo(f"warning: {error}; the network is saved all the same", err=True)


def _conclude(session: Session, evaluation: Evaluation | None) -> None:
    run, validation = session.run, session.dataset.validation
    with _told_if_not_written():
        _draw_curve(session)
    if validation is not None:
        evaluation = evaluation or evaluate(session.denoiser, *validation)
        shown = examples(session.denoiser, validation)
        if shown.drawable:
            with _told_if_not_written():
                montage(run.montage, *shown)
        baselines = classical_results(validation, printer(err=True))
        printer().print(quality_table(evaluation, "validation pictures", baselines))
        if evaluation.learned_nothing:
            click.echo(nothing_learned(evaluation))
    if not run.finished:
        run.record_end()
    if session.trainer.recorder.remark and session.trainer.device.type == "cuda":
        click.echo(f"note: {session.trainer.recorder.remark}")
    position = session.position
    click.echo(f"trained on {position.pictures:,} pictures in {position.seconds:,.0f} s")
    written = [run.checkpoint, run.architecture, run.metrics, run.loss_curve, run.montage]
    click.echo("written: " + ", ".join(str(path) for path in written if path.exists()))
