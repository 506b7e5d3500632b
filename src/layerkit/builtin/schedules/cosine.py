"""The cosine schedule: after a linear rise the factor falls on half a wave of the cosine.

With p the progress, w the warmup and f the final factor:

    p / w                                                     for p < w
    f + (1 - f) (1 + cos(pi (p - w) / (1 - w))) / 2           otherwise

(Loshchilov and Hutter 2017, "SGDR: stochastic gradient descent with warm restarts", equation (5), without restarts; the
linear rise is that of Goyal et al. 2017, "Accurate, large minibatch SGD", section 2.2.)
"""

from __future__ import annotations

import math
from typing import Any, ClassVar, Literal

from pydantic import Field

from layerkit.builtin.schedules.warmup import Final, WarmedUp, Warmup
from layerkit.contracts.specs import ScheduleSpec


class CosineSpec(ScheduleSpec):
    """The learning rate rises linearly over the warmup, then falls to its final share on half a wave of the cosine.

    f + (1 - f) (1 + cos(pi (p - w) / (1 - w))) / 2 after progress p = w, and p / w before.
    """

    example: ClassVar[dict[str, Any]] = {"warmup": 0.05}

    type: Literal["cosine"] = Field(description="The name of the schedule.")
    warmup: Warmup = Field(default=0.0, description="The share of the training in which the rate rises from 0.")
    final: Final = Field(default=0.0, description="What the rate is multiplied by at the end of the training.")

    def ends(self) -> tuple[float, float]:
        return (0.0 if self.warmup else 1.0), self.final

    def reference(self, steps: int) -> tuple[str, dict[str, Any]] | None:
        return None if self.warmup else ("CosineAnnealingLR", {"T_max": steps, "eta_min": self.final})

    def build(self) -> Cosine:
        return Cosine(self.warmup, self.final)


class Cosine(WarmedUp):
    """``Cosine(warmup=0.05, final=0.0)``: a linear rise, then half a wave of the cosine."""

    def left(self, share: float) -> float:
        """Return (1 + cos(pi share)) / 2."""
        return (1 + math.cos(math.pi * share)) / 2
