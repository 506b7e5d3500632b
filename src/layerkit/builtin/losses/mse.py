"""Mean squared error.

Forward, equation (9) of the report, over all n elements of the batch: l = sum of (x - y)^2 / n.

Backward, equation (10), with respect to the prediction x: 2 (x - y) / n.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor

from layerkit.contracts.loss import Loss
from layerkit.contracts.specs import LossSpec


class MSESpec(LossSpec):
    """Mean squared error: sum of (prediction - target)^2 / n over all n elements."""

    type: Literal["mse"] = Field(description="The name of the loss.")

    def reference(self) -> tuple[str, dict[str, Any]]:
        return "MSELoss", {}

    def build(self) -> MSE:
        return MSE()


class MSE(Loss):
    """Mean squared error over all elements; 0 for an empty batch."""

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Return the loss of ``prediction`` against ``target``, both of one shape."""
        self.same_shape(prediction, target)
        difference = torch.sub(prediction, target, out=self.empty("difference", prediction.shape, prediction))
        self.save(difference)
        flat = difference.view(-1)
        return torch.dot(flat, flat) / max(len(flat), 1)

    def backward(self) -> Tensor:
        """Return 2 (prediction - target) / n."""
        (difference,) = self.saved()
        grad = self.empty("grad_prediction", difference.shape, difference)
        return torch.mul(difference, 2 / max(difference.numel(), 1), out=grad)
