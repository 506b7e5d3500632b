"""Schedules with a single mistake each."""

from __future__ import annotations

import math
import time
from typing import Any

import torch
from zoo_building import Schedule_

from layerkit.contracts.schedule import Schedule


class Falling(Schedule_, Schedule):
    """Falls on a straight line from 1 to 0; right."""

    def ends(self) -> tuple[float, float]:
        return 1.0, 0.0

    def reference(self, steps: int) -> tuple[str, dict[str, Any]]:
        return "LinearLR", {"start_factor": 1.0, "end_factor": 0.0, "total_iters": steps}

    def factor(self, progress: float) -> float:
        return 1 - progress


class ByThePower(Schedule_, Schedule):
    """Falls as a power of ten, and says nothing of its ends; right."""

    def factor(self, progress: float) -> float:
        return 10 ** (-2 * progress)


class UndefinedAtTheEnd(ByThePower):
    """Divides by what is left of the training, and at its end nothing is."""

    caught_by = "factor_is_a_finite_number"

    def factor(self, progress: float) -> float:
        return math.exp(-1 / (1 - progress))


class InfiniteAtTheBeginning(ByThePower):
    """Is infinite where the training begins."""

    caught_by = "factor_is_a_finite_number"

    def factor(self, progress: float) -> float:
        return 1 / progress if progress else math.inf


class BelowZero(ByThePower):
    """Falls below zero in the last tenth."""

    caught_by = "factor_is_a_finite_number"

    def factor(self, progress: float) -> float:
        return 0.9 - progress


class TensorForANumber(ByThePower):
    """Returns a tensor."""

    caught_by = "factor_is_a_finite_number"

    def factor(self, progress: float) -> torch.Tensor:
        return torch.tensor(1 - progress)


class CountsItsCalls(ByThePower):
    """Falls with every call, so that a training that goes on begins anew."""

    caught_by = "factor_has_no_memory"
    calls = 0

    def factor(self, progress: float) -> float:
        self.calls += 1
        return 0.99**self.calls


class NeverRises(ByThePower):
    """Keeps the least factor that it has given."""

    caught_by = "factor_has_no_memory"
    least = 1.0

    def factor(self, progress: float) -> float:
        self.least = min(self.least, super().factor(progress))
        return self.least


class Jittered(ByThePower):
    """Shakes the factor with numbers of torch's global random generator."""

    caught_by = "factor_has_no_memory"

    def factor(self, progress: float) -> float:
        return super().factor(progress) * (0.9 + 0.1 * torch.rand(()).item())


class ByTheClock(ByThePower):
    """Falls with the time of day."""

    caught_by = "factor_has_no_memory"

    def factor(self, progress: float) -> float:
        return super().factor(progress) / (1 + math.modf(time.time())[0])


class Constant(ByThePower):
    """Does not look at the progress."""

    caught_by = "factor_changes"

    def factor(self, progress: float) -> float:
        return 0.5


class EndsElsewhere(ByThePower):
    """Declares that it ends at 0, and ends at a hundredth."""

    caught_by = "ends_are_true"

    def ends(self) -> tuple[float, float]:
        return 1.0, 0.0


class BeginsElsewhere(ByThePower):
    """Declares that it begins at 0, and begins at 1."""

    caught_by = "ends_are_true"

    def ends(self) -> tuple[float, float]:
        return 0.0, 0.01


class AStepAhead(Falling):
    """Gives the factor of one step in fifty later, held at 0."""

    caught_by = "agrees_with_scheduler"

    def ends(self) -> None:
        return None

    def factor(self, progress: float) -> float:
        return max(0.0, 1 - progress - 0.02)


class SquaredFall(Falling):
    """Names torch's straight line, and falls on a parabola between the same ends."""

    caught_by = "agrees_with_scheduler"

    def factor(self, progress: float) -> float:
        return (1 - progress) ** 2
