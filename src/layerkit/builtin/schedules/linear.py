"""The linear schedule: after a linear rise the factor falls on a straight line.

With p the progress, w the warmup and f the final factor:

    p / w                                     for p < w
    1 - (1 - f) (p - w) / (1 - w)             otherwise

(Goyal et al. 2017, "Accurate, large minibatch SGD", section 2.2, for the rise; Devlin et al. 2019, "BERT", appendix
A.2, for rise and fall.)
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field

from layerkit.builtin.schedules.warmup import Final, WarmedUp, Warmup
from layerkit.contracts.specs import ScheduleSpec


class LinearScheduleSpec(ScheduleSpec):
    """The learning rate rises linearly over the warmup, then falls to its final share on a straight line.

    1 - (1 - f) (p - w) / (1 - w) after progress p = w, and p / w before.
    """

    example: ClassVar[dict[str, Any]] = {"warmup": 0.05}

    type: Literal["linear"] = Field(description="The name of the schedule.")
    warmup: Warmup = Field(default=0.0, description="The share of the training in which the rate rises from 0.")
    final: Final = Field(default=0.0, description="The factor that multiplies the rate at the end of the training.")

    def ends(self) -> tuple[float, float]:
        return (0.0 if self.warmup else 1.0), self.final

    def reference(self, steps: int) -> tuple[str, dict[str, Any]] | None:
        if self.warmup:
            return None
        return "LinearLR", {"start_factor": 1.0, "end_factor": self.final, "total_iters": steps}

    def build(self) -> LinearSchedule:
        return LinearSchedule(self.warmup, self.final)


class LinearSchedule(WarmedUp):
    """``LinearSchedule(warmup=0.05, final=0.0)``: a linear rise, then a straight line down."""

    def left(self, share: float) -> float:
        """Return 1 - share."""
        return 1 - share
