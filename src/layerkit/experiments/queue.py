"""Which trials of a sweep wait, run and are done, shared by all processes that work on it: an Optuna study.

The study only hands out work. Whether a trial is done is said by its result, and whether somebody works on it by the
lock on its run's folder; so a journal that is lost or out of date costs nothing but a look at the results.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from layerkit.disk import FolderLock
from layerkit.errors import FolderInUseError, RunError

KEY = "key"


class Ticket:
    """A trial that was handed out: its key, until something is told of it."""

    def __init__(self, queue: TrialQueue, number: int, key: str) -> None:
        self._queue, self._number, self.key = queue, number, key

    def done(self, value: float | None) -> None:
        """Tell that the trial has its result: a PSNR in dB, or None where it failed."""
        self._queue.tell(self._number, value)

    def give_back(self) -> None:
        """Tell that somebody must take the trial on."""
        self._queue.tell(self._number, None)
        self._queue.add(self.key)


class TrialQueue:
    """The trials of one experiment, in their order.

    Args:
        journal: the file that all processes share, on a disk of this machine or a network's.
        name: of the experiment.
        labels: what each trial is, by key.

    Raises:
        RunError: when the journal cannot be read.
    """

    def __init__(self, journal: Path, name: str, labels: dict[str, str]) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._labels = labels
        # A changed experiment has other trials, and is another study.
        plan = hashlib.sha256("\n".join(labels).encode()).hexdigest()[:12]
        journal.parent.mkdir(parents=True, exist_ok=True)
        with _readable(journal):
            storage = JournalStorage(JournalFileBackend(str(journal.absolute())))
            self._study = optuna.create_study(
                storage=storage, study_name=f"{name}-{plan}", direction="maximize", load_if_exists=True
            )
        self._journal = journal

    def fill(self, keys: Iterable[str], folder: Callable[[str], Path]) -> None:
        """Make sure that each trial waits or is being trained.

        Args:
            keys: of the trials without a result.
            folder: gives that of a trial's run; one that nobody has locked is not being trained, whatever was told.
        """
        with _readable(self._journal):
            waiting, running = self._of_state("WAITING"), self._of_state("RUNNING")
            for key in keys:
                if _in_use(folder(key)):
                    continue
                for number in running.get(key, ()):  # its process was killed, or is about to begin and finds another
                    self.tell(number, None)
                if key not in waiting:
                    self.add(key)

    def take(self) -> Ticket | None:
        """Return the next trial that waits, for this process alone; None when there is none."""
        with _readable(self._journal):
            while self._of_state("WAITING"):
                trial = self._study.ask()
                key = trial.user_attrs.get(KEY)
                if key in self._labels:
                    return Ticket(self, trial.number, key)
                self.tell(trial.number, None)  # another process was faster, and this one is none of ours
            return None

    def add(self, key: str) -> None:
        """Let a trial wait."""
        self._study.enqueue_trial({"trial": self._labels[key]}, user_attrs={KEY: key})

    def tell(self, number: int, value: float | None) -> None:
        """Tell what became of a trial: its value, or that it failed."""
        state = TrialState.FAIL if value is None else TrialState.COMPLETE
        self._study.tell(number, value, state=state, skip_if_finished=True)

    def _of_state(self, state: str) -> dict[str, list[int]]:
        trials: dict[str, list[int]] = {}
        for trial in self._study.get_trials(deepcopy=False, states=(TrialState[state],)):
            trials.setdefault(trial.user_attrs.get(KEY, ""), []).append(trial.number)
        return trials


def _in_use(folder: Path) -> bool:
    if not folder.is_dir():
        return False
    try:
        FolderLock(folder).release()
    except FolderInUseError:
        return True
    return False


@contextlib.contextmanager
def _readable(journal: Path) -> Any:
    try:
        yield
    except (ValueError, KeyError) as error:
        raise RunError(
            f"{journal} is damaged ({error}); remove it: results are kept elsewhere, and nothing done is lost"
        ) from error
