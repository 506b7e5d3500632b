"""Huber's loss: squared for small differences and absolute for large ones (Huber, 1964).

Forward, with d = x - y over all n elements of the batch:

    l = sum of h(d) / n        h(d) = d^2 / 2 where |d| <= delta, and delta (|d| - delta / 2) elsewhere

which with m = min(|d|, delta) is h(d) = m (|d| - m / 2) everywhere.

Backward, with respect to the prediction x: d clamped to -delta .. delta, divided by n.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from layerkit.contracts.loss import Loss
from layerkit.contracts.specs import LossSpec

MAX_DELTA = 1000.0


class HuberSpec(LossSpec):
    """Huber's loss: the mean of d^2 / 2 where |d| <= delta, and of delta (|d| - delta / 2) elsewhere.

    d = prediction - target. Near 0 it is half of ``mse``; for large differences it grows like delta times ``l1``.
    """

    type: Literal["huber"] = Field(description="The name of the loss.")
    delta: float = Field(
        default=1.0,
        gt=0,
        le=MAX_DELTA,
        description="The difference above which the loss grows linearly instead of quadratically. Values of pictures "
        "go from 0 to 1, so with delta of 1 or more it is half the squared error.",
    )

    example: ClassVar[dict[str, Any]] = {"delta": 0.1}

    def reference(self) -> tuple[str, dict[str, Any]]:
        return "HuberLoss", {"delta": self.delta}

    def build(self) -> Huber:
        return Huber(self.delta)


class Huber(Loss):
    """Huber's loss as a mean over all elements; 0 for an empty batch.

    Args:
        delta: the difference above which it is linear.
    """

    def __init__(self, delta: float = 1.0) -> None:
        self.delta = delta

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Return the loss of ``prediction`` against ``target``, both of one shape."""
        self.same_shape(prediction, target)
        difference = torch.sub(prediction, target, out=self.empty("difference", prediction.shape, prediction))
        self.save(difference)
        absolute = torch.abs(difference, out=self.scratch("absolute", difference.shape, difference))
        smaller = torch.clamp(absolute, max=self.delta, out=self.scratch("smaller", difference.shape, difference))
        return absolute.sub_(smaller, alpha=0.5).mul_(smaller).sum() / max(difference.numel(), 1)

    def backward(self) -> Tensor:
        """Return (prediction - target) / n, with the difference clamped to -delta .. delta."""
        (difference,) = self.saved()
        grad = self.empty("grad_prediction", difference.shape, difference)
        return torch.clamp(difference, -self.delta, self.delta, out=grad).div_(max(difference.numel(), 1))
