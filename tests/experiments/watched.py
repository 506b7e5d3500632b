"""A sweep, and an observer that remembers what it is told."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field

from layerkit import installed
from layerkit.experiments.store import Store
from layerkit.experiments.sweep import Planned, Sweep


@dataclass
class Watcher:
    """Observes a sweep, and asks it to stop after so many steps of training."""

    stop_after: int | None = None
    steps: int = 0
    began: list[str] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def asked_to_stop(self):
        return 2 if self.stop_after is not None and self.steps >= self.stop_after else None

    def begins(self, trial):
        self.began.append(trial.label)

    def ends(self, trial, result):
        self.ended.append(f"{trial.label}: {result.status}")

    def says(self, text):
        self.said.append(text)

    @contextmanager
    def watch(self, session):
        yield self

    def step(self, event):
        self.steps += 1

    def epoch(self, event):
        pass


@dataclass
class Work:
    """A sweep in a folder, worked on by as many processes as one likes, one after the other."""

    store: Store
    data: str
    planned: Planned

    def work(self, **how) -> Watcher:
        watcher = Watcher(**how)
        Sweep(self.store, self.data, installed(), watcher).work(self.planned)
        return watcher

    @property
    def results(self):
        return {trial.label: self.store.result(key, trial.timed) for key, trial in self.planned.trials.items()}
