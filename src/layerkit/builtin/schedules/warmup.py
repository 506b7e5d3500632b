"""The base class of schedules that first rise linearly from 0 to 1, and then fall to a final factor."""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated

from pydantic import Field

from layerkit.contracts.schedule import Schedule

Warmup = Annotated[float, Field(ge=0, lt=1)]
Final = Annotated[float, Field(ge=0, le=1)]


class WarmedUp(Schedule):
    """Rises linearly from 0 to 1, then falls from 1 to ``final`` on the curve that a subclass defines.

    Args:
        warmup: the share of the training, from its beginning, in which the factor rises; less than 1.
        final: the factor at the end.
    """

    def __init__(self, warmup: float = 0.0, final: float = 0.0) -> None:
        self.warmup, self.final = warmup, final

    @abstractmethod
    def left(self, share: float) -> float:
        """Return the remaining part of the fall: 1 where ``share`` is 0, at its beginning, and 0 where it is 1."""

    def factor(self, progress: float) -> float:
        """Return the factor at a progress from 0 to 1."""
        if progress < self.warmup:
            return progress / self.warmup
        share = (progress - self.warmup) / (1 - self.warmup)
        return self.final + (1 - self.final) * self.left(share)
