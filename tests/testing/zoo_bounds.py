"""Losses and schedules that are wrong at zeros, at the ends of their domain, or where two pieces meet."""

from __future__ import annotations

import torch
from torch import Tensor
from zoo_building import Loss_, Schedule_
from zoo_losses import Squared

from layerkit.contracts.loss import Loss
from layerkit.contracts.schedule import Schedule


class Entropy(Loss_, Loss):
    """The cross entropy of probabilities, with logarithms that are never less than -20; right but for its kinks."""

    domain = (0.0, 1.0)
    kinked = True
    least = 2e-9

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        self.same_shape(prediction, target)
        self.save(prediction.clone(), target.clone())
        p, q = prediction.clamp(min=self.least), (1 - prediction).clamp(min=self.least)
        return -(target * p.log() + (1 - target) * q.log()).sum() / max(target.numel(), 1)

    def backward(self) -> Tensor:
        prediction, target = self.saved()
        p, q = prediction.clamp(min=self.least), (1 - prediction).clamp(min=self.least)
        return ((1 - target) / q - target / p) / max(target.numel(), 1)


class LogarithmOfZero(Entropy):
    """Takes the logarithm of whatever it is given, of zero as well."""

    caught_by = "loss_at_the_ends"
    least = 0.0


class NothingAtTheEnds(Loss_, Loss):
    """A squared difference from 0 to 1, whose gradient leaves out predictions of exactly 0 and 1."""

    caught_by = "loss_at_the_ends"
    domain = (0.0, 1.0)

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        self.same_shape(prediction, target)
        difference = prediction - target
        self.save(difference, (prediction > 0) & (prediction < 1))
        return difference.square().sum() / max(difference.numel(), 1)

    def backward(self) -> Tensor:
        difference, inside = self.saved()
        return 2 * difference * inside / max(difference.numel(), 1)


class JumpsAtItsBound(Loss_, Loss):
    """Squared to a difference of one, and straight beyond with a constant that does not fit."""

    caught_by = "loss_does_not_jump"
    kinked = True

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        self.same_shape(prediction, target)
        difference = prediction - target
        self.save(difference)
        size = difference.abs()
        value = torch.where(size <= 1, size.square() / 2, size - 0.4)
        return value.sum() / max(difference.numel(), 1)

    def backward(self) -> Tensor:
        (difference,) = self.saved()
        return difference.clamp(-1, 1) / max(difference.numel(), 1)


class StepAtTen(Squared):
    """A penalty is added to differences over ten, at once."""

    caught_by = "loss_does_not_jump"
    kinked = True

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        value = super().forward(prediction, target)
        return value + ((prediction - target).abs() > 10).sum() / max(target.numel(), 1)


class NothingAtZeros(Squared):
    """Predictions of exactly zero count as not made, and have no gradient."""

    caught_by = "loss_gradient_at_zeros"

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        value = super().forward(prediction, target)
        self.made = (prediction != 0).clone() if self.training else None
        return value

    def backward(self) -> Tensor:
        return super().backward() * self.made


class DoubleForZeroTargets(Squared):
    """Where a target is exactly zero its gradient is twice as large."""

    caught_by = "loss_gradient_at_zeros"

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        value = super().forward(prediction, target)
        self.zero = (target == 0).clone() if self.training else None
        return value

    def backward(self) -> Tensor:
        return super().backward() * (1 + self.zero.to(torch.float64)).to(self.saved()[0].dtype)


class LearnsItsScale(Squared):
    """Divides by the largest difference that it has ever seen."""

    caught_by = "loss_forgets"
    largest = 1.0

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        value = super().forward(prediction, target)
        if self.training and prediction.numel():
            self.largest = max(self.largest, float((prediction - target).abs().max().nan_to_num(nan=0.0)))
        return value / self.largest

    def backward(self) -> Tensor:
        return super().backward() / self.largest


class KeepsItsProgress(Squared):
    """Keeps the furthest progress that it was ever told, and is weighted by it."""

    caught_by = "loss_forgets"
    furthest = 0.0

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        self.furthest = max(self.furthest, self.progress)
        return super().forward(prediction, target) * (1 + self.furthest)

    def backward(self) -> Tensor:
        return super().backward() * (1 + self.furthest)


class ProgressReadAgain(Squared):
    """Weighted by the progress, which backward reads again."""

    caught_by = "backward_is_of_its_forward"

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        return super().forward(prediction, target) * (1 + self.progress)

    def backward(self) -> Tensor:
        return super().backward() * (1 + self.progress)


class ExponentReadAgain(Squared):
    """A power of the difference with an exponent from 2 to 3, which its gradient looks up."""

    caught_by = "backward_is_of_its_forward"

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        self.same_shape(prediction, target)
        difference = prediction - target
        self.save(difference)
        return (difference.abs() ** (2 + self.progress)).sum() / max(difference.numel(), 1)

    def backward(self) -> Tensor:
        (difference,) = self.saved()
        power = difference.abs() ** (1 + self.progress) * difference.sign()
        return (2 + self.progress) * power / max(difference.numel(), 1)


class JumpsAfterTheWarmup(Schedule_, Schedule):
    """Rises to nine tenths in the first tenth of a training, and goes on from one."""

    caught_by = "undeclared_jumps"

    def factor(self, progress: float) -> float:
        return 9 * progress if progress < 0.1 else 1 - (progress - 0.1) / 2


class DropsBeforeTheEnd(Schedule_, Schedule):
    """Falls on a curve, and all at once to zero a little before the end."""

    caught_by = "undeclared_jumps"

    def factor(self, progress: float) -> float:
        return 10 ** (-2 * progress) if progress < 0.97 else 0.0


class SteppedInName(Schedule_, Schedule):
    """Is declared to fall in steps, and falls on a straight line."""

    caught_by = "declared_jumps"

    def jumps(self) -> tuple[float, ...]:
        return (0.5,)

    def factor(self, progress: float) -> float:
        return 1 - progress / 2


class SteepIsNoStep(Schedule_, Schedule):
    """Is declared to fall in steps, and falls steeply, but not at once."""

    caught_by = "declared_jumps"

    def jumps(self) -> tuple[float, ...]:
        return (0.5,)

    def factor(self, progress: float) -> float:
        return 1 / (1 + 10 ** (200 * (progress - 0.5)))


class InSteps(Schedule_, Schedule):
    """Halves at a third and at two thirds, which is declared; right."""

    def jumps(self) -> tuple[float, ...]:
        return 1 / 3, 2 / 3

    def factor(self, progress: float) -> float:
        return 0.5 ** int(3 * progress)


class BetweenConstants(Schedule_, Schedule):
    """Is one in the first half and a tenth in the second, which is plain to see without a declaration; right."""

    def factor(self, progress: float) -> float:
        return 1.0 if progress < 0.5 else 0.1
