"""Sigmoid linear unit, also called swish.

Forward, for an input of any shape, with s = 1 / (1 + exp(-x)): y = x s.

Backward, s' = s (1 - s), so that grad_x = (s + x s (1 - s)) grad_output (Elfwing et al. 2018, "Sigmoid-weighted linear
units for neural network function approximation in reinforcement learning", equations 4 and 6).
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from layerkit import LayerSpec, Module, Shape
from pydantic import Field
from torch import Tensor


class SiLUSpec(LayerSpec):
    """Sigmoid linear unit: y = x / (1 + exp(-x))."""

    type: Literal["silu"] = Field(description="The name of the layer.")

    def output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def build(self, input_shape: Shape, generator: torch.Generator) -> SiLU:
        return SiLU()

    def reference(self, input_shape: Shape) -> tuple[str, dict[str, Any]]:
        return "SiLU", {}


class SiLU(Module):
    """y = x sigmoid(x), element by element."""

    def forward(self, x: Tensor) -> Tensor:
        """Return a tensor of the shape of ``x``."""
        self.save(x)
        return x.sigmoid().mul_(x)

    def backward(self, grad_output: Tensor) -> Tensor:
        """Return s (1 + x (1 - s)) grad_output."""
        x: Tensor
        (x,) = self.saved()
        s = x.sigmoid()
        return (1 - s).mul_(x).add_(1).mul_(s).mul_(grad_output)
