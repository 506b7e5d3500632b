"""Shows the progress of a sweep: bars for trials and training on a terminal, one line per trial elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from layerkit.cli.context import printer
from layerkit.denoising.metrics import PSNR_MEAN
from layerkit.experiments.plan import Trial
from layerkit.experiments.results import TrialResult
from layerkit.training.interruption import interruptible
from layerkit.training.loop import EpochDone, StepDone
from layerkit.training.session import Session


class SweepDisplay:
    """Shows trials and their training; :class:`layerkit.experiments.sweep.Sweep` reports its progress to it.

    Args:
        progress: the display that the bars belong to.
        total: the number of trainings that the experiments need.
        settled: returns how many of them have a result, from this or another process.
        asked_to_stop: returns the signal that asked for a stop, or None.
        quiet: whether to show nothing.
    """

    def __init__(
        self,
        progress: Progress,
        total: int,
        settled: Callable[[], int],
        asked_to_stop: Callable[[], int | None],
        quiet: bool,
    ) -> None:
        self.progress, self.total, self.settled, self.quiet = progress, total, settled, quiet
        self.asked_to_stop = asked_to_stop
        self.experiment = ""
        self._trials = progress.add_task("trials", total=total, completed=settled())

    def says(self, text: str) -> None:
        """Show a line."""
        if not self.quiet:
            self.progress.console.print(text, markup=False, soft_wrap=True)

    def begins(self, trial: Trial) -> None:
        """Show which trial is trained."""
        self.progress.update(self._trials, description=f"{self.experiment}: {trial.label}")

    def ends(self, trial: Trial, result: TrialResult) -> None:
        """Show the result of a trial."""
        settled = self.settled()
        self.progress.update(self._trials, completed=settled)
        text = f"{PSNR_MEAN.text(result.psnr)}, {result.seconds:.1f} s" if result.psnr is not None else result.status
        text += f" ({result.message})" if result.message else ""
        self.says(f"{settled}/{self.total} {self.experiment}: {trial.label}: {text}")

    @contextmanager
    def watch(self, session: Session) -> Iterator[_Training]:
        """Provide, inside ``with``, the display for a training."""
        training = session.architecture.trained
        task = self.progress.add_task("  training", total=training.epochs * len(session.pairs))
        try:
            yield _Training(self.progress, task, session)
        finally:
            self.progress.remove_task(task)


class _Training:
    INTERVAL = 0.2
    """Seconds between two updates; updating at every step would take longer than some steps."""

    def __init__(self, progress: Progress, task: TaskID, session: Session) -> None:
        self.progress, self.task, self.session, self.last = progress, task, session, 0.0

    def step(self, event: StepDone) -> None:
        """Show a step."""
        now = time.perf_counter()
        if now - self.last >= self.INTERVAL:
            self.last = now
            self.progress.update(self.task, completed=self.session.position.pictures)

    def epoch(self, event: EpochDone) -> None:
        """Show the end of an epoch."""
        self.progress.update(self.task, completed=self.session.position.pictures)


@contextmanager
def sweep_display(total: int, settled: Callable[[], int], quiet: bool) -> Iterator[SweepDisplay]:
    """Provide, inside ``with``, the display for a sweep; signals to stop are remembered until it asks for them.

    Args:
        total, settled, quiet: as in :class:`SweepDisplay`.
    """
    console: Console = printer()
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with (
        interruptible() as asked_to_stop,
        Progress(*columns, console=console, disable=quiet or not console.is_terminal) as progress,
    ):
        yield SweepDisplay(progress, total, settled, asked_to_stop, quiet)
