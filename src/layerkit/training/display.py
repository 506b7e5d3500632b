"""A training shown to somebody from its first event to its last."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from layerkit.denoising.evaluation import Evaluation
from layerkit.training.loop import EpochDone, StepDone
from layerkit.training.session import Session


class Display(Protocol):
    """What the events of a training are shown on."""

    def step(self, event: StepDone) -> None:
        """Show a step."""

    def epoch(self, event: EpochDone) -> None:
        """Show the end of an epoch."""


def train_shown(session: Session, display: Display, asked_to_stop: Callable[[], int | None]) -> Evaluation | None:
    """Train to the end, and return the evaluation after the last epoch.

    It is None if no epoch was left, or if there are no validation pictures.

    Raises:
        LayerkitError: as :meth:`layerkit.training.session.Session.events` does.
    """
    evaluation = None
    for event in session.events(asked_to_stop):
        if isinstance(event, EpochDone):
            evaluation = event.evaluation
            display.epoch(event)
        else:
            display.step(event)
    return evaluation
