"""Logistic sigmoid.

Forward, equation (7) of the report, for an input of any shape: y = 1 / (1 + exp(-x)).

Backward, equation (8): grad_x = y (1 - y) grad_output.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor

from layerkit.contracts.module import Module
from layerkit.contracts.specs import LayerSpec, Shape


class SigmoidSpec(LayerSpec):
    """Logistic sigmoid: y = 1 / (1 + exp(-x)), between 0 and 1."""

    type: Literal["sigmoid"] = Field(description="The name of the layer.")

    def output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def reference(self, input_shape: Shape) -> tuple[str, dict[str, Any]]:
        return "Sigmoid", {}

    def build(self, input_shape: Shape, generator: torch.Generator) -> Sigmoid:
        return Sigmoid()


class Sigmoid(Module):
    """y = 1 / (1 + exp(-x)), element by element."""

    def forward(self, x: Tensor) -> Tensor:
        """Return a tensor of the shape of ``x``."""
        y = torch.sigmoid(x, out=self.empty_like("y", x))
        self.save(y)
        return y

    def backward(self, grad_output: Tensor) -> Tensor:
        """Return y (1 - y) grad_output."""
        (y,) = self.saved()
        grad_input = torch.mul(y, y, out=self.empty_like("grad_input", y))
        return torch.sub(y, grad_input, out=grad_input).mul_(grad_output)
