"""The step schedule: at each milestone of the training the factor is multiplied by gamma once more.

With p the progress and m_1 < m_2 < ... the milestones: gamma^k, where k is the number of milestones with m_i <= p.

(He et al. 2016, "Deep residual learning for image recognition", section 4.2, divide by 10 at 1/2 and 3/4.)
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError

from layerkit.contracts.schedule import Schedule
from layerkit.contracts.specs import ScheduleSpec

Milestone = Annotated[float, Field(gt=0, lt=1)]


class StepsSpec(ScheduleSpec):
    """The learning rate is multiplied by gamma at each milestone: gamma^k after the k-th."""

    example: ClassVar[dict[str, Any]] = {"milestones": [0.5, 0.75]}

    type: Literal["steps"] = Field(description="The name of the schedule.")
    milestones: tuple[Milestone, ...] = Field(
        strict=False,  # a list, in JSON and in Python
        min_length=1,
        max_length=100,
        description="Shares of the training, in increasing order: 0.5 is the middle.",
    )
    gamma: float = Field(default=0.1, ge=0, le=1, description="The factor that multiplies the rate at each milestone.")

    @field_validator("milestones")
    @classmethod
    def _increasing(cls, milestones: tuple[float, ...]) -> tuple[float, ...]:
        for before, after in pairwise(milestones):
            if not before < after:
                message = "expected numbers in increasing order, got {after} after {before}"
                raise PydanticCustomError("milestones", message, {"before": f"{before:g}", "after": f"{after:g}"})
        return milestones

    def ends(self) -> tuple[float, float]:
        return 1.0, self.gamma ** len(self.milestones)

    def jumps(self) -> tuple[float, ...]:
        return self.milestones

    def reference(self, steps: int) -> tuple[str, dict[str, Any]]:
        # torch counts in steps: a milestone is the first step that begins at or after it.
        first = [next(k for k in range(steps + 1) if k / steps >= milestone) for milestone in self.milestones]
        return "MultiStepLR", {"milestones": first, "gamma": self.gamma}

    def build(self) -> Steps:
        return Steps(self.milestones, self.gamma)


class Steps(Schedule):
    """``Steps([0.5, 0.75], gamma=0.1)``: a tenth of the rate after the middle, a hundredth in the last quarter.

    Args:
        milestones: shares of the training, in increasing order.
        gamma: the number that multiplies the factor at each milestone.
    """

    def __init__(self, milestones: Sequence[float], gamma: float = 0.1) -> None:
        self.milestones, self.gamma = tuple(milestones), gamma

    def factor(self, progress: float) -> float:
        """Return the factor at a progress from 0 to 1."""
        return self.gamma ** bisect_right(self.milestones, progress)
