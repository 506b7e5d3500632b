"""From trials to results: whatever has none yet is trained, by this process or by others that share the folder."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import Protocol

from layerkit.disk import FolderLock
from layerkit.errors import FolderInUseError, StoppedError
from layerkit.experiments.plan import Trial
from layerkit.experiments.queue import Ticket, TrialQueue
from layerkit.experiments.results import TrialResult
from layerkit.experiments.store import Store
from layerkit.experiments.trial import Watch, open_run, train
from layerkit.experiments.turn import turn
from layerkit.registry.catalogue import Catalogue


class Observer(Protocol):
    """Whoever shows how a sweep goes."""

    watch: Watch
    """Gives what a training is shown on."""

    def asked_to_stop(self) -> int | None:
        """Return the signal that asks for the end, or None."""

    def begins(self, trial: Trial) -> None:
        """A trial is trained from here on."""

    def ends(self, trial: Trial, result: TrialResult) -> None:
        """A trial has its result."""

    def says(self, text: str) -> None:
        """Something that a person should know."""


@dataclass(frozen=True)
class Planned:
    """An experiment's trials by key, in their order.

    Attributes:
        name: of the experiment.
        timed: whether the seconds matter.
        trials: equal trainings have one key and stand here once.
    """

    name: str
    timed: bool
    trials: dict[str, Trial]


@dataclass(frozen=True)
class Sweep:
    """Works on experiments until each trial has a result, or another process is at it.

    Attributes:
        store: where everything is kept.
        data: the name of the data set.
        catalogue: of the components that may be named.
        observer: is told what happens.
    """

    store: Store
    data: str
    catalogue: Catalogue
    observer: Observer

    def work(self, planned: Planned) -> None:
        """Train the trials of an experiment that have no result.

        A trial that diverges or fails has a result that says so. One that failed for another reason than divergence is
        tried again by the next process that comes by.

        Raises:
            StoppedError: when it was asked to stop, and has saved.
            RunError: when something cannot be written.
        """
        if not self._missing(planned, set()):
            return
        with ExitStack() as stack:
            if planned.timed:
                # Times of two machines cannot be compared.
                folder = self.store.folder / "timed" / planned.name
                folder.mkdir(parents=True, exist_ok=True)
                try:
                    stack.callback(FolderLock(folder).release)
                except FolderInUseError:
                    self.observer.says(f"{planned.name}: another process times these trials, one after the other")
                    return
            queue = TrialQueue(
                self.store.journal, planned.name, {key: trial.label for key, trial in planned.trials.items()}
            )
            tried: set[str] = set()
            while missing := self._missing(planned, tried):
                queue.fill(missing, self.store.run)
                ticket = queue.take()
                if ticket is None:
                    left = f"{len(missing)} of {len(planned.trials)} trials"
                    self.observer.says(f"{planned.name}: other processes train what is left, {left}")
                    return
                self._try(ticket, planned, tried)

    def _missing(self, planned: Planned, tried: set[str]) -> list[str]:
        """Return the keys of the trials that must be trained, without those that this process has tried."""
        missing = []
        for key in planned.trials:
            result = self.store.result(key, planned.timed)
            if key not in tried and (result is None or result.status == "failed"):
                missing.append(key)
        return missing

    def _try(self, ticket: Ticket, planned: Planned, tried: set[str]) -> None:
        key, trial = ticket.key, planned.trials[ticket.key]
        alone = planned.timed
        try:
            with (
                turn(self.store.folder, alone, self.observer.asked_to_stop, lambda: self._waits(planned)),
                open_run(self.store.run(key), trial, self.data, self.catalogue, anew=alone) as run,
            ):
                result = self.store.result(key, planned.timed)
                if result is None or result.status == "failed":  # or another process has just finished it
                    self.observer.begins(trial)
                    result = train(
                        run, trial, key, self.catalogue, self.observer.watch, self.observer.asked_to_stop
                    ).model_copy(update={"timed": planned.timed})
                    self.store.keep(result)
                    self.observer.ends(trial, result)
                if not run.finished:
                    run.record_end()
            tried.add(key)
            ticket.done(result.psnr)
        except FolderInUseError:  # somebody has it, or just looked whether somebody has
            ticket.done(None)
        except StoppedError:
            ticket.give_back()
            raise

    def _waits(self, planned: Planned) -> None:
        self.observer.says(f"{planned.name}: waits until other trials on this machine have ended")
