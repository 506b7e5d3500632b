"""Hyperbolic tangent.

Forward, for an input of any shape: y = tanh(x) = (exp(x) - exp(-x)) / (exp(x) + exp(-x)).

Backward, grad_x = (1 - y^2) grad_output.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from layerkit import LayerSpec, Module, Shape
from pydantic import Field
from torch import Tensor


class TanhSpec(LayerSpec):
    """Hyperbolic tangent: y = tanh(x), between -1 and 1."""

    type: Literal["tanh"] = Field(description="The name of the layer.")

    def output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def build(self, input_shape: Shape, generator: torch.Generator) -> Tanh:
        return Tanh()

    def reference(self, input_shape: Shape) -> tuple[str, dict[str, Any]]:
        return "Tanh", {}


class Tanh(Module):
    """y = tanh(x), element by element."""

    def forward(self, x: Tensor) -> Tensor:
        """Return a tensor of the shape of ``x``."""
        y = x.tanh()
        self.save(y)
        return y

    def backward(self, grad_output: Tensor) -> Tensor:
        """Return (1 - y^2) grad_output."""
        y: Tensor
        (y,) = self.saved()
        return y.square().neg_().add_(1).mul_(grad_output)
