"""Shows the progress of a training: bars on a terminal, occasional lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import click

from layerkit.cli.context import printer
from layerkit.training.bars import Bars, bars, epoch_line
from layerkit.training.loop import EpochDone, StepDone
from layerkit.training.session import Session

POINTS_A_LINE = 10
"""The number of points of the loss curve between two lines, where there is no terminal."""


@contextmanager
def progress_of(session: Session, quiet: bool) -> Iterator[Bars | _Lines]:
    """Provide, inside ``with``, the display for the events of a training."""
    console = printer()
    if quiet or not console.is_terminal:
        yield _Lines(session, quiet)
        return
    with bars(session, console) as shown:
        yield shown


class _Lines:
    """Progress where there is no terminal: occasional lines."""

    def __init__(self, session: Session, quiet: bool) -> None:
        self.session, self.quiet = session, quiet
        self.epochs = session.architecture.trained.epochs
        self.points, self.pictures = len(session.curve.points), session.curve.pictures
        self.start = time.perf_counter()

    def step(self, event: StepDone) -> None:
        """Show a step."""
        curve = self.session.curve
        if not self.quiet and len(curve.points) >= self.points + POINTS_A_LINE:
            self.points = len(curve.points)
            speed = (curve.pictures - self.pictures) / (time.perf_counter() - self.start)
            click.echo(
                f"epoch {event.epoch + 1}/{self.epochs}: {curve.pictures:,} pictures, "
                f"loss {curve.points[-1].loss:.5f}, {speed:,.0f} pictures/s"
            )

    def epoch(self, event: EpochDone) -> None:
        """Show the end of an epoch."""
        if not self.quiet:
            click.echo(epoch_line(event, self.epochs))
