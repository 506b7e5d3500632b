"""Rectified linear unit.

Forward, equation (5) of the report, for an input of any shape: y = max(0, x).

Backward, grad_x = grad_output where x > 0, and 0 elsewhere. (Equation (6) of the report has max(0, x) as the mask, but
means 1[x > 0].) At x = 0, where there is no derivative, 0 is used.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor

from layerkit.contracts.module import Module
from layerkit.contracts.specs import LayerSpec, Shape


class ReLUSpec(LayerSpec):
    """Rectified linear unit: y = max(0, x)."""

    kinked = True

    type: Literal["relu"] = Field(description="The name of the layer.")

    def output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def kinks(self) -> dict[float, float]:
        return {0.0: 0.0}

    def reference(self, input_shape: Shape) -> tuple[str, dict[str, Any]]:
        return "ReLU", {}

    def build(self, input_shape: Shape, generator: torch.Generator) -> ReLU:
        return ReLU()


class ReLU(Module):
    """y = max(0, x), element by element."""

    def forward(self, x: Tensor) -> Tensor:
        """Return a tensor of the shape of ``x``."""
        y = torch.clamp(x, min=0, out=self.empty_like("y", x))
        self.save(y)
        return y

    def backward(self, grad_output: Tensor) -> Tensor:
        """Return the gradient where x was positive, 0 elsewhere."""
        (y,) = self.saved()
        # y is never negative, so its sign is the mask. It is a tensor of floats, because products with booleans are
        # several times slower.
        mask = torch.sign(y, out=self.empty_like("grad_input", y))
        return mask.mul_(grad_output)
