"""Runs a training and shows its events."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from layerkit.denoising.evaluation import Evaluation
from layerkit.training.loop import EpochDone, StepDone
from layerkit.training.session import Session

Callback = Callable[[StepDone | EpochDone], None]
"""Called after each step and each epoch with its event."""


class Display(Protocol):
    """Shows the events of a training."""

    def step(self, event: StepDone) -> None:
        """Show a step."""

    def epoch(self, event: EpochDone) -> None:
        """Show the end of an epoch."""


def train_shown(
    session: Session,
    display: Display | None,
    asked_to_stop: Callable[[], int | None],
    callback: Callback | None = None,
) -> Evaluation | None:
    """Train to the end, and return the evaluation after the last epoch.

    It is None if no epoch was left, or if there are no validation pictures.

    Args:
        session: the training.
        display: shows the events; None to show nothing.
        asked_to_stop: returns the signal that asked the training to stop, or None.
        callback: called with each event after it was shown.

    Raises:
        LayerkitError: as :meth:`layerkit.training.session.Session.events` does.
    """
    evaluation = None
    for event in session.events(asked_to_stop):
        if isinstance(event, EpochDone):
            evaluation = event.evaluation
            if display is not None:
                display.epoch(event)
        elif display is not None:
            display.step(event)
        if callback is not None:
            callback(event)
    return evaluation
