"""Mean absolute error.

Forward, over all n elements of the batch: l = sum of |x - y| / n.

Backward, with respect to the prediction x: sign(x - y) / n, and 0 where x = y, which has no derivative.

If one value has many different targets, this loss is smallest at their median, and the squared error at their mean. So
it learns from targets of which more than half are right, however wrong the others are (Lehtinen et al. 2018, section
2).
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor

from layerkit.contracts.loss import Loss
from layerkit.contracts.specs import LossSpec


class L1Spec(LossSpec):
    """Mean absolute error: sum of |prediction - target| / n over all n elements; it finds the median of the targets.

    For noise that leaves more than half of the values as they were, such as ``text`` and ``impulse`` below 0.5.
    """

    kinked = True

    type: Literal["l1"] = Field(description="The name of the loss.")

    def reference(self) -> tuple[str, dict[str, Any]]:
        return "L1Loss", {}

    def build(self) -> L1:
        return L1()


class L1(Loss):
    """Mean absolute error over all elements; 0 for an empty batch."""

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Return the loss of ``prediction`` against ``target``, both of one shape."""
        self.same_shape(prediction, target)
        difference = torch.sub(prediction, target, out=self.empty("difference", prediction.shape, prediction))
        self.save(difference)
        absolute = torch.abs(difference, out=self.scratch("absolute", difference.shape, difference))
        return absolute.sum() / max(difference.numel(), 1)

    def backward(self) -> Tensor:
        """Return sign(prediction - target) / n."""
        (difference,) = self.saved()
        grad = torch.sign(difference, out=self.empty("grad_prediction", difference.shape, difference))
        return grad.div_(max(difference.numel(), 1))
