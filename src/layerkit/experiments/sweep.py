"""Trains the trials that have no result yet, by this process or by others that share the folder.

There is no central scheduler. Each process goes through the trials: one with a result is done, one whose run is locked
is being trained by another process, and every other trial is claimed by locking its run.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from typing import Protocol

import torch

from layerkit.errors import FolderInUseError
from layerkit.experiments.machine_lock import machine_lock
from layerkit.experiments.plan import Trial
from layerkit.experiments.results import TrialResult
from layerkit.experiments.store import Store
from layerkit.experiments.trial import open_run, train
from layerkit.registry.catalogue import Catalogue
from layerkit.training.display import Display
from layerkit.training.session import Session


class Observer(Protocol):
    """Shows the progress of a sweep, and says when it should stop."""

    def asked_to_stop(self) -> int | None:
        """Return the number of the signal that asked for a stop, or None."""

    def watch(self, session: Session) -> AbstractContextManager[Display]:
        """Return the display for a training."""

    def begins(self, trial: Trial) -> None:
        """Show that the training of a trial begins."""

    def ends(self, trial: Trial, result: TrialResult) -> None:
        """Show the result of a trial."""

    def says(self, text: str) -> None:
        """Show a line of text."""


@dataclass(frozen=True)
class Planned:
    """An experiment's trials by key, in their order.

    Attributes:
        name: the name of the experiment.
        trials: the trials by key; equal trainings have the same key and are listed once.
    """

    name: str
    trials: dict[str, Trial]


def wanted(plans: Iterable[Planned]) -> dict[str, bool]:
    """Return the trainings that experiments need by key, each once, with whether one of them needs it timed."""
    timed: dict[str, bool] = {}
    for planned in plans:
        for key, trial in planned.trials.items():
            timed[key] = timed.get(key, False) or trial.timed
    return timed


@dataclass(frozen=True)
class Sweep:
    """Works on experiments until each trial has a result, or is being trained by another process.

    Attributes:
        store: the folder for all results.
        data: the name of the data set.
        catalogue: the components that may be named.
        observer: shows the progress.
        device: where the networks are trained.
    """

    store: Store
    data: str
    catalogue: Catalogue
    observer: Observer
    device: torch.device | str = "cpu"

    def work(self, planned: Planned) -> None:
        """Train the trials of an experiment that have no result.

        A trial that diverges or fails has a result that says so. One that failed for another reason than divergence is
        tried again by the next process that works on the sweep.

        Raises:
            StoppedError: when it was asked to stop; everything is saved.
            RunError: when a file cannot be written.
        """
        tried: set[str] = set()
        with ExitStack() as stack:
            timed = [key for key in self._missing(planned) if planned.trials[key].timed]
            if timed:
                # Timed by one process only, because times of two machines cannot be compared.
                try:
                    stack.enter_context(self.store.timing(planned.name))
                except FolderInUseError:
                    self.observer.says(f"{planned.name}: another process times trials, one after the other")
                    tried.update(timed)
            while missing := [key for key in self._missing(planned) if key not in tried]:
                here = {key for key in missing if self._train(key, planned)}
                if not here:
                    left = f"{len(missing)} of {len(planned.trials)} trials"
                    self.observer.says(f"{planned.name}: other processes train what is left, {left}")
                    return
                # Look again, because another process may have been killed meanwhile, with its trial unfinished.
                tried |= here

    def _missing(self, planned: Planned) -> list[str]:
        """Return the keys of the trials that must be trained, with timed ones first, since others wait for them."""
        missing = [key for key, trial in planned.trials.items() if not self.store.settled(key, trial.timed)]
        return sorted(missing, key=lambda key: not planned.trials[key].timed)

    def _train(self, key: str, planned: Planned) -> bool:
        """Train a trial, unless it has a result by now; return False if another process is training it."""
        trial = planned.trials[key]
        with (
            machine_lock(self.store.folder, trial.timed, self.observer.asked_to_stop, lambda: self._waits(planned)),
            ExitStack() as claim,
        ):
            try:
                claim.enter_context(self.store.claimed(key))
                if self.store.settled(key, trial.timed):  # by a process that has just given it up
                    return True
                run = open_run(
                    self.store.run(key),
                    trial,
                    self.data,
                    self.catalogue,
                    anew=trial.timed,
                    earlier=lambda: self.store.result(key, trial.timed),
                )
            except FolderInUseError:
                return False
            if run is not None:
                with run:
                    self.observer.begins(trial)
                    observer = self.observer
                    result = train(
                        run,
                        trial,
                        key,
                        self.catalogue,
                        observer.watch,
                        observer.says,
                        observer.asked_to_stop,
                        self.device,
                    ).model_copy(update={"timed": trial.timed})
                    self.store.keep(result)
                    self.observer.ends(trial, result)
                    if not run.finished:
                        run.record_end()
        return True

    def _waits(self, planned: Planned) -> None:
        self.observer.says(f"{planned.name}: waits until other trials on this machine have ended")
