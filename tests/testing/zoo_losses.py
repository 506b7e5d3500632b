"""Losses with a single mistake each."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from zoo_building import Loss_, unguarded

from layerkit.contracts.loss import Loss


class Squared(Loss_, Loss):
    """The mean of squared differences; right."""

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        self.same_shape(prediction, target)
        difference = prediction - target
        self.save(difference)
        return difference.square().sum() / max(difference.numel(), 1)

    def backward(self) -> Tensor:
        (difference,) = self.saved()
        return 2 * difference / max(difference.numel(), 1)


class DividedBySamplesOnly(Squared):
    """The sum over all values is divided by the number of samples only."""

    caught_by = "loss_gradient"

    def backward(self) -> Tensor:
        (difference,) = self.saved()
        return 2 * difference / max(len(difference), 1)


class GradientNotAnnealed(Squared):
    """Squared at the beginning of a training and the fourth power at its end, with the gradient of the beginning."""

    caught_by = "loss_gradient"

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        self.same_shape(prediction, target)
        difference = prediction - target
        self.save(difference)
        return (difference.square() ** (1 + self.progress)).sum() / max(difference.numel(), 1)


class FactorForgotten(Squared):
    """The gradient lacks its factor of two."""

    caught_by = "loss_gradient"

    def backward(self) -> Tensor:
        return super().backward() / 2


class SummedOverTheBatch(Squared):
    """The loss and its gradient are sums over the samples."""

    caught_by = "loss_is_a_mean"

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        return super().forward(prediction, target) * len(prediction)

    def backward(self) -> Tensor:
        (difference,) = self.saved()
        return super().backward() * len(difference)


class RootOfTheBatch(Loss_, Loss):
    """The root of one and the mean square of the whole batch, which parts of the batch do not add up to."""

    caught_by = "loss_is_a_mean"

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        self.same_shape(prediction, target)
        difference = prediction - target
        value = (1 + difference.square().sum() / max(difference.numel(), 1)).sqrt()
        self.save(difference, value.clone())
        return value

    def backward(self) -> Tensor:
        difference, value = self.saved()
        return difference / (value * max(difference.numel(), 1))


class RootOfEachSample(Loss_, Loss):
    """The mean of a root for each sample, whose values go together, and declared elementwise."""

    caught_by = "loss_is_elementwise"

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        self.same_shape(prediction, target)
        difference = (prediction - target).flatten(1)
        roots = (1 + difference.square().sum(1)).sqrt()
        self.save(difference, roots, prediction.shape)
        return roots.sum() / max(len(roots), 1)

    def backward(self) -> Tensor:
        difference, roots, shape = self.saved()
        return (difference / (roots[:, None] * max(len(roots), 1))).reshape(shape)


class ElementwiseButDenied(Squared):
    """Is a mean over single values, and declared to be none."""

    caught_by = "loss_is_not_elementwise"
    elementwise = False


class UnknownIsBlack(Squared):
    """Is declared to take unknown targets, and takes them for zeros."""

    caught_by = "unknown_targets"
    takes_masked = True

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        return super().forward(prediction, target.nan_to_num())


class UnknownPassesUnnoticed(Squared):
    """Leaves out differences that are not a number, and does not declare it."""

    caught_by = "unknown_targets"

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        self.same_shape(prediction, target)
        difference = (prediction - target).nan_to_num(nan=0.0)
        self.save(difference)
        return difference.square().sum() / max(difference.numel(), 1)


class MeanOfTheKnown(Squared):
    """Leaves out unknown targets, and divides by the known ones, so that parts of a batch do not add up."""

    caught_by = "unknown_targets"
    takes_masked = True

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        self.same_shape(prediction, target)
        known = ~target.isnan()
        difference = torch.where(known, prediction - target, 0.0)
        self.save(difference, max(int(known.sum()), 1))
        return difference.square().sum() / max(int(known.sum()), 1)

    def backward(self) -> Tensor:
        difference, count = self.saved()
        return 2 * difference / count


class OneLossASample(Squared):
    """Returns a loss for each sample."""

    caught_by = "loss_is_one_number"

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        super().forward(prediction, target)
        return (prediction - target).square().flatten(1).mean(1)


class TargetBroadcast(Squared):
    """A target of another shape is broadcast."""

    caught_by = "loss_refuses_other_shapes"

    def same_shape(self, prediction: Tensor, target: Tensor) -> None:
        pass


class EmptyIsNotANumber(Squared):
    """Of an empty batch it is 0 / 0."""

    caught_by = "loss_of_an_empty_batch"

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        super().forward(prediction, target)
        return (prediction - target).square().mean()


class TargetSubtractedInPlace(Squared):
    """Subtracts the target from the caller's prediction in place."""

    caught_by = "loss_keeps_to_itself"

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        self.same_shape(prediction, target)
        difference = prediction.detach().sub_(target)
        self.save(difference.clone())
        return difference.square().sum() / max(difference.numel(), 1)


class GradientIsItsCache(Squared):
    """Returns the same memory at every backward."""

    caught_by = "loss_keeps_to_itself"
    buffer: Tensor | None = None

    def backward(self) -> Tensor:
        gradient = super().backward()
        if self.buffer is None or self.buffer.shape != gradient.shape or self.buffer.dtype != gradient.dtype:
            self.buffer = torch.empty_like(gradient)
        return self.buffer.copy_(gradient)


@unguarded
class LossBeforeForward(Squared):
    """Backward before forward gives zeros."""

    caught_by = "loss_state"

    def backward(self) -> Tensor:
        return torch.zeros(1, dtype=torch.float64) if self._saved is None else super().backward()


class KeepsTheCallersTensors(Squared):
    """Computes the difference in backward, from tensors that the caller may have changed."""

    caught_by = "loss_state"

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        self.kept = prediction, target
        return super().forward(prediction, target)

    def backward(self) -> Tensor:
        prediction, target = self.kept
        return 2 * (prediction - target) / max(prediction.numel(), 1)


class SharedDifference(Squared):
    """Keeps its difference on the class."""

    caught_by = "loss_is_deterministic"

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        type(self).difference = prediction - target
        return super().forward(prediction, target)

    def backward(self) -> Tensor:
        return 2 * self.difference / max(self.difference.numel(), 1)


class InfiniteAtItsTarget(Loss_, Loss):
    """The root of the mean square, whose gradient at the target is 0 / 0."""

    caught_by = "loss_at_its_target"
    kinked = True

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        self.same_shape(prediction, target)
        difference = prediction - target
        value = (difference.square().sum() / max(difference.numel(), 1)).sqrt()
        self.save(difference, value.clone())
        return value

    def backward(self) -> Tensor:
        difference, value = self.saved()
        return difference / (value * max(difference.numel(), 1))


class AbsoluteNotDeclared(Loss_, Loss):
    """The mean absolute difference, not declared to be kinked."""

    caught_by = "undeclared_loss_kinks"

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        self.same_shape(prediction, target)
        difference = prediction - target
        self.save(difference)
        return difference.abs().sum() / max(difference.numel(), 1)

    def backward(self) -> Tensor:
        (difference,) = self.saved()
        return difference.sign() / max(difference.numel(), 1)


class KinkedLossIsSmooth(Squared):
    """Is declared to be kinked, and is smooth."""

    caught_by = "declared_loss_kinks"
    kinked = True


class NotTorchsLoss(Squared):
    """Names torch's L1Loss as its namesake."""

    caught_by = "agrees_with_reference"

    def reference(self) -> tuple[str, dict[str, Any]]:
        return "L1Loss", {}
