"""Gaussian error linear unit, without the approximation by tanh.

Forward, for an input of any shape: y = x P(x), with P(x) = erfc(-x / sqrt(2)) / 2 the standard normal distribution.

Backward, grad_x = (P(x) + x p(x)) grad_output, with p(x) = exp(-x^2 / 2) / sqrt(2 pi) the density (Hendrycks and Gimpel
2016, "Gaussian error linear units"). The complementary error function keeps its digits far below zero, where
1 + erf(x / sqrt(2)) would lose them all.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
from layerkit import LayerSpec, Module, Shape
from pydantic import Field
from torch import Tensor


class GELUSpec(LayerSpec):
    """Gaussian error linear unit: y = x P(Z <= x) for a standard normal Z."""

    type: Literal["gelu"] = Field(description="The name of the layer.")

    def output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def build(self, input_shape: Shape, generator: torch.Generator) -> GELU:
        return GELU()

    def reference(self, input_shape: Shape) -> tuple[str, dict[str, Any]]:
        return "GELU", {}


class GELU(Module):
    """y = x P(Z <= x), element by element; no approximation by tanh."""

    def forward(self, x: Tensor) -> Tensor:
        """Return a tensor of the shape of ``x``."""
        distribution: Tensor = torch.special.erfc(x * -math.sqrt(0.5)).mul_(0.5)
        self.save(x, distribution)
        return x * distribution

    def backward(self, grad_output: Tensor) -> Tensor:
        """Return (P(x) + x p(x)) grad_output."""
        x: Tensor
        x, distribution = self.saved()
        # Beyond 1e4 the density is zero in any precision; the limit keeps the square from overflowing.
        near = x.clamp(-1e4, 1e4)
        density = near.square().mul_(-0.5).exp_().mul_(1 / math.sqrt(2 * math.pi))
        return torch.addcmul(distribution, near, density, out=density).mul_(grad_output)
