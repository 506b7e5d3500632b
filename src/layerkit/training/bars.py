"""Progress on a terminal: one bar per epoch, with loss, speed and remaining time."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from layerkit.denoising.evaluation import Evaluation
from layerkit.denoising.metrics import PSNR_MEAN, SECONDARY
from layerkit.training.loop import EpochDone, StepDone
from layerkit.training.session import Session


@contextmanager
def bars(session: Session, console: Console) -> Iterator[Bars]:
    """Provide, inside ``with``, the bars that show the events of a training."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[loss]}"),
        TextColumn("{task.fields[speed]}"),
        TimeRemainingColumn(),
    )
    console.file = Enduring(console.file)  # type: ignore[assignment]  # it has the methods of a file
    with Progress(*columns, console=console) as progress:
        yield Bars(session, progress)


class Enduring:
    """A terminal that may be closed: after that, everything written is discarded without an error.

    So a training continues after its window is closed, and saves its results.
    """

    def __init__(self, terminal: IO[str]) -> None:
        self._terminal = terminal

    def write(self, text: str) -> int:
        """Write, unless the terminal is closed; see :meth:`io.TextIOBase.write`."""
        try:
            return self._terminal.write(text)
        except OSError:
            self._go_nowhere()
            return len(text)

    def flush(self) -> None:
        """Flush, unless the terminal is closed; see :meth:`io.IOBase.flush`."""
        try:
            self._terminal.flush()
        except OSError:
            self._go_nowhere()

    def _go_nowhere(self) -> None:
        """Discard everything from now on, including what is still in the buffers."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._terminal.fileno())
        os.close(nowhere)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._terminal, name)


class Bars:
    """The bars of a training.

    Args:
        session: the training.
        progress: the display that the bars belong to.
    """

    INTERVAL = 0.1
    """Seconds between two updates; updating at every step would take longer than some steps."""

    def __init__(self, session: Session, progress: Progress) -> None:
        self.session, self.progress = session, progress
        training = session.architecture.trained
        self.epochs, self.samples = training.epochs, len(session.pairs)
        self.batch_size = training.batch_size
        self.task: TaskID | None = None
        self.done, self.before, self.last, self.start = 0, 0, 0.0, 0.0

    def step(self, event: StepDone) -> None:
        """Show a step."""
        now = time.perf_counter()
        if self.task is None:
            label = f"epoch {event.epoch + 1}/{self.epochs}"
            self.task = self.progress.add_task(label, total=self.samples, loss="", speed="")
            # The clock starts when the first step has ended, so that step is not counted.
            self.done = event.batch * self.batch_size
            self.before = self.done + event.pictures
            self.start = self.last = now
        self.done += event.pictures
        if now - self.last >= self.INTERVAL:
            self.last = now
            points = self.session.curve.points
            loss = points[-1].loss if points else event.loss
            speed = (self.done - self.before) / (now - self.start)
            self.progress.update(
                self.task, completed=self.done, loss=f"loss {loss:.5f}", speed=f"{speed:,.0f} pictures/s"
            )

    def epoch(self, event: EpochDone) -> None:
        """Show the end of an epoch."""
        if self.task is not None:  # a training resumed at the end of an epoch makes no step in it
            self.progress.remove_task(self.task)
            self.task = None
        self.progress.console.print(epoch_line(event, self.epochs))


def epoch_line(event: EpochDone, epochs: int) -> str:
    """Return the line that is printed at the end of an epoch; ``epochs`` is their total number."""
    text = f"epoch {event.epoch}/{epochs} took {event.train_seconds:.0f} s"
    if event.evaluation is None:
        return text
    noisy, denoised = event.evaluation.noisy, event.evaluation.denoised
    text += f": validation {PSNR_MEAN.text(denoised.headline)} (noisy {PSNR_MEAN.text(noisy.headline)}"
    text += ", both estimated)" if event.evaluation.estimated else ")"
    for metric in SECONDARY:
        before, after = noisy.get(metric.name), denoised.get(metric.name)
        if before is not None and after is not None:
            text += f", {metric.label} {metric.text(after)} (noisy {metric.text(before)})"
    return text + (". " + nothing_learned(event.evaluation) if event.evaluation.learned_nothing else "")


def nothing_learned(evaluation: Evaluation) -> str:
    """Return the warning that a network does no better than a constant image."""
    return (
        f"warning: {PSNR_MEAN.text(evaluation.denoised.headline)} is no better than one constant colour "
        f"({PSNR_MEAN.text(evaluation.constant)}): the network has learned nothing; try another learning rate"
    )
