"""When a training in the middle of an epoch is saved."""

from __future__ import annotations

import time
from collections.abc import Callable

DEFAULT_MINUTES = 5.0


class Cadence:
    """Every so many steps, or minutes, whichever comes first; an epoch's end is saved anyway.

    Args:
        steps: between two checkpoints; None for no such bound.
        minutes: between two checkpoints; None for no such bound.
        clock: the time in seconds.
    """

    def __init__(
        self,
        steps: int | None = None,
        minutes: float | None = DEFAULT_MINUTES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.steps, self.seconds, self._clock = steps, None if minutes is None else 60 * minutes, clock
        self.saved()

    def saved(self) -> None:
        """Count anew from here."""
        self._steps, self._since = 0, self._clock()

    def due(self) -> bool:
        """Count a step, and return whether it is time for a checkpoint."""
        self._steps += 1
        if self.steps is not None and self._steps >= self.steps:
            return True
        return self.seconds is not None and self._clock() - self._since >= self.seconds
