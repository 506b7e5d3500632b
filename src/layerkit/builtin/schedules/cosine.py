"""The cosine schedule: after a linear rise the factor falls along half a cosine wave.

With p the progress in a cycle, w the warmup and f the final factor:

    p / w                                                     for p < w
    f + (1 - f) (1 + cos(pi (p - w) / (1 - w))) / 2           otherwise

A training has c cycles of equal length, each of which starts anew: in cycle k = 0 .. c - 1, p = c P - k, where P is the
progress of the training (Loshchilov and Hutter 2017, "SGDR: stochastic gradient descent with warm restarts", equation
(5); the linear rise is that of Goyal et al. 2017, "Accurate, large minibatch SGD", section 2.2). The factor in cycle k
is multiplied by d^k, where d is the decay. With several cycles a finished training can be continued: its steps become
the first cycle of a longer training.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar, Literal

from pydantic import Field

from layerkit.builtin.schedules.warmup import Final, WarmedUp, Warmup
from layerkit.contracts.specs import ScheduleSpec


class CosineSpec(ScheduleSpec):
    """The learning rate rises linearly over the warmup, then falls to its final share along half a cosine wave.

    f + (1 - f) (1 + cos(pi (p - w) / (1 - w))) / 2 after progress p = w, and p / w before, in each of the cycles; in
    cycle k, counted from 0, times decay^k.
    """

    example: ClassVar[dict[str, Any]] = {"warmup": 0.05}

    type: Literal["cosine"] = Field(description="The name of the schedule.")
    warmup: Warmup = Field(default=0.0, description="The share of a cycle in which the rate rises from 0.")
    final: Final = Field(default=0.0, description="The factor that multiplies the rate at the end of a cycle.")
    cycles: int = Field(default=1, ge=1, le=1000, description="How often the rate rises and falls.")
    decay: float = Field(
        default=1.0, gt=0, le=1, description="The factor of the rate in each cycle relative to the cycle before."
    )

    def ends(self) -> tuple[float, float]:
        return (0.0 if self.warmup else 1.0), self.final * self.decay ** (self.cycles - 1)

    def jumps(self) -> tuple[float, ...]:
        return tuple(cycle / self.cycles for cycle in range(1, self.cycles))

    def reference(self, steps: int) -> tuple[str, dict[str, Any]] | None:
        return (
            None if self.warmup or self.cycles > 1 else ("CosineAnnealingLR", {"T_max": steps, "eta_min": self.final})
        )

    def build(self) -> Cosine:
        return Cosine(self.warmup, self.final, self.cycles, self.decay)


class Cosine(WarmedUp):
    """``Cosine(warmup=0.05, final=0.0, cycles=1, decay=1.0)``: a linear rise, then half a cosine wave.

    Args:
        warmup: the share of a cycle, from its beginning, in which the factor rises; less than 1.
        final: the factor at the end of a cycle.
        cycles: the number of cycles, all of the same length.
        decay: the factor of each cycle relative to the cycle before.
    """

    def __init__(self, warmup: float = 0.0, final: float = 0.0, cycles: int = 1, decay: float = 1.0) -> None:
        super().__init__(warmup, final)
        self.cycles, self.decay = cycles, decay

    def factor(self, progress: float) -> float:
        """Return the factor at a progress from 0 to 1."""
        done = min(int(progress * self.cycles), self.cycles - 1)
        return super().factor(progress * self.cycles - done) * self.decay**done

    def left(self, share: float) -> float:
        """Return (1 + cos(pi share)) / 2."""
        return (1 + math.cos(math.pi * share)) / 2
