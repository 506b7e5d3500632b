"""Leaky rectified linear unit.

Forward, for an input of any shape and a slope a from 0 to 1: y = x where x > 0, else a x. That is max(x, a x).

Backward, grad_x = grad_output where x > 0, else a grad_output (Maas et al. 2013, "Rectifier nonlinearities improve
neural network acoustic models", equation 2). At x = 0, where there is no derivative, a is used, as in torch.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
from layerkit import LayerSpec, Module, Shape
from pydantic import Field
from torch import Tensor


class LeakyReLUSpec(LayerSpec):
    """Leaky rectified linear unit: y = x where x > 0, else negative_slope x."""

    kinked = True
    example: ClassVar[dict[str, Any]] = {"negative_slope": 0.1}

    type: Literal["leaky_relu"] = Field(description="The name of the layer.")
    negative_slope: float = Field(default=0.01, ge=0, le=1, description="The slope below zero.")

    def output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def build(self, input_shape: Shape, generator: torch.Generator) -> LeakyReLU:
        return LeakyReLU(self.negative_slope)

    def reference(self, input_shape: Shape) -> tuple[str, dict[str, Any]]:
        return "LeakyReLU", {"negative_slope": self.negative_slope}


class LeakyReLU(Module):
    """``LeakyReLU(negative_slope=0.01)``, with a slope from 0 to 1."""

    def __init__(self, negative_slope: float = 0.01) -> None:
        super().__init__()
        self.negative_slope = negative_slope

    def forward(self, x: Tensor) -> Tensor:
        """Return a tensor of the shape of ``x``."""
        self.save(x)
        return torch.maximum(x, x * self.negative_slope)

    def backward(self, grad_output: Tensor) -> Tensor:
        """Return the gradient, times the slope where x was not positive."""
        x: Tensor
        (x,) = self.saved()
        # The sign is 1 where x > 0, and is raised to the slope elsewhere; a boolean mask would be slower.
        return x.sign().clamp_(min=self.negative_slope).mul_(grad_output)
