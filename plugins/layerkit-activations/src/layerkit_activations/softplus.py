"""Softplus, a smooth rectifier.

Forward, for an input of any shape: y = log(1 + exp(beta x)) / beta. It is computed as
max(x, 0) + log1p(exp(-beta |x|)) / beta, which is the same and cannot overflow.

Backward, grad_x = grad_output / (1 + exp(-beta x)) (Dugas et al. 2001, "Incorporating second-order functional knowledge
for better option pricing").
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
from layerkit import LayerSpec, Module, Shape
from pydantic import Field
from torch import Tensor


class SoftplusSpec(LayerSpec):
    """Softplus: y = log(1 + exp(beta x)) / beta."""

    example: ClassVar[dict[str, Any]] = {"beta": 1.0}

    type: Literal["softplus"] = Field(description="The name of the layer.")
    beta: float = Field(default=1.0, ge=0.1, le=20, description="How sharply it bends at zero.")

    def output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def build(self, input_shape: Shape, generator: torch.Generator) -> Softplus:
        return Softplus(self.beta)

    def reference(self, input_shape: Shape) -> tuple[str, dict[str, Any]]:
        return "Softplus", {"beta": self.beta, "threshold": 80.0}


class Softplus(Module):
    """``Softplus(beta=1.0)``."""

    def __init__(self, beta: float = 1.0) -> None:
        super().__init__()
        self.beta = beta

    def forward(self, x: Tensor) -> Tensor:
        """Return a tensor of the shape of ``x``."""
        self.save(x)
        return x.abs().mul_(-self.beta).exp_().log1p_().div_(self.beta).add_(x.clamp(min=0))

    def backward(self, grad_output: Tensor) -> Tensor:
        """Return sigmoid(beta x) grad_output."""
        x: Tensor
        (x,) = self.saved()
        return (x * self.beta).sigmoid_().mul_(grad_output)
