"""Flattens a picture into a vector of features.

Forward, for an input x (N, C, H, W): y[n, (c * H + h) * W + w] = x[n, c, h, w], the order of torch.

Backward, the gradients in the shape of x.
"""

from __future__ import annotations

from math import prod
from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor

from layerkit.contracts.module import Module
from layerkit.contracts.specs import LayerSpec, Shape
from layerkit.errors import ShapeError


class FlattenSpec(LayerSpec):
    """Flattens a picture into a vector of features: y[(c H + h) W + w] = x[c, h, w]."""

    type: Literal["flatten"] = Field(description="The name of the layer.")

    def output_shape(self, input_shape: Shape) -> Shape:
        if not input_shape:
            raise ShapeError("flatten takes samples of at least one dimension, not single numbers")
        return (prod(input_shape),)

    def build(self, input_shape: Shape, generator: torch.Generator) -> Flatten:
        return Flatten()

    def reference(self, input_shape: Shape) -> tuple[str, dict[str, Any]]:
        return "Flatten", {}


class Flatten(Module):
    """Joins all dimensions except the batch into one, channel by channel and row by row."""

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, features) for x (N, ...).

        Raises:
            ShapeError: when x has no dimension besides the batch.
        """
        if x.dim() < 2:
            raise ShapeError(f"Flatten: expected an input of (N, ...) with the batch first, not {tuple(x.shape)}")
        self.save(tuple(x.shape))
        # A copy even where a view would be enough, because an output must not share the caller's memory.
        return x.clone(memory_format=torch.contiguous_format).view(len(x), prod(x.shape[1:]))

    def backward(self, grad_output: Tensor) -> Tensor:
        """Return the gradient in the shape of x; for pictures it has the channels last in memory."""
        (shape,) = self.saved()
        layout = torch.channels_last if len(shape) == 4 else torch.contiguous_format
        return grad_output.reshape(shape).clone(memory_format=layout)
