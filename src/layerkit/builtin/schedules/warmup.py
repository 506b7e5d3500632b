"""What schedules have in common that rise linearly from 0 to 1 at first, and then fall to a final factor."""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated

from pydantic import Field

from layerkit.contracts.schedule import Schedule

Warmup = Annotated[float, Field(ge=0, lt=1)]
Final = Annotated[float, Field(ge=0, le=1)]


class WarmedUp(Schedule):
    """Rises linearly from 0 to 1, then falls from 1 to ``final`` on the curve of a subclass.

    Args:
        warmup: the share of the training, at its beginning, in which the factor rises; less than 1.
        final: the factor at the end.
    """

    def __init__(self, warmup: float = 0.0, final: float = 0.0) -> None:
        self.warmup, self.final = warmup, final

    @abstractmethod
    def left(self, share: float) -> float:
        """Return how much of the fall is still to come: 1 where ``share`` of it is 0, and 0 where that is 1."""

    def factor(self, progress: float) -> float:
        """Return the factor at a progress from 0 to 1."""
        if progress < self.warmup:
            return progress / self.warmup
        share = (progress - self.warmup) / (1 - self.warmup)
        return self.final + (1 - self.final) * self.left(share)
