"""How often a training is saved in the middle of an epoch."""

from __future__ import annotations

import time
from collections.abc import Callable

DEFAULT_MINUTES = 5.0


class SaveInterval:
    """Decides when to save: after some steps or minutes, whichever comes first. Each end of an epoch is saved anyway.

    Args:
        steps: the most steps between two checkpoints; None for no limit.
        minutes: the most minutes between two checkpoints; None for no limit.
        clock: returns the time in seconds.
    """

    def __init__(
        self,
        steps: int | None = None,
        minutes: float | None = DEFAULT_MINUTES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.steps, self.seconds, self._clock = steps, None if minutes is None else 60 * minutes, clock
        self.restart()

    def restart(self) -> None:
        """Start a new interval, as after a checkpoint."""
        self._steps_done, self._started = 0, self._clock()

    def count_step(self) -> None:
        """Count one step."""
        self._steps_done += 1

    @property
    def over(self) -> bool:
        """Whether it is time for the next checkpoint."""
        if self.steps is not None and self._steps_done >= self.steps:
            return True
        return self.seconds is not None and self._clock() - self._started >= self.seconds
