"""Exponential linear unit.

Forward, for an input of any shape: y = x where x > 0, else alpha (exp(x) - 1).

Backward, grad_x = grad_output where x > 0, else alpha exp(x) grad_output (Clevert et al. 2016, "Fast and accurate deep
network learning by exponential linear units", equation 16). Unless alpha is 1, there is a kink at 0, where alpha is
used. Only the negative part of x goes into the exponential, so that it cannot overflow.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
from layerkit import LayerSpec, Module, Shape
from pydantic import Field
from torch import Tensor


class ELUSpec(LayerSpec):
    """Exponential linear unit: y = x where x > 0, else alpha (exp(x) - 1)."""

    kinked = True
    example: ClassVar[dict[str, Any]] = {"alpha": 1.0}

    type: Literal["elu"] = Field(description="The name of the layer.")
    alpha: float = Field(default=1.0, ge=0, le=100, description="Minus the value that y approaches far below zero.")

    def output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def build(self, input_shape: Shape, generator: torch.Generator) -> ELU:
        return ELU(self.alpha)

    def reference(self, input_shape: Shape) -> tuple[str, dict[str, Any]]:
        return "ELU", {"alpha": self.alpha}


class ELU(Module):
    """``ELU(alpha=1.0)``."""

    def __init__(self, alpha: float = 1.0) -> None:
        super().__init__()
        self.alpha = alpha

    def forward(self, x: Tensor) -> Tensor:
        """Return a tensor of the shape of ``x``."""
        self.save(x)
        return x.clamp(max=0).expm1_().mul_(self.alpha).add_(x.clamp(min=0))

    def backward(self, grad_output: Tensor) -> Tensor:
        """Return the gradient, times alpha exp(x) where x was not positive."""
        x: Tensor
        (x,) = self.saved()
        slope = x.clamp(max=0).exp_()
        if self.alpha != 1:
            # The exponential is 1 where x > 0, where it must not be multiplied by alpha.
            slope.mul_(self.alpha).add_(x.sign().clamp_(min=0), alpha=1 - self.alpha)
        return slope.mul_(grad_output)
