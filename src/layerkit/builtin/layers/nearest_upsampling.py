"""Nearest-neighbour upsampling (NNUpsampling in section II.C of the report).

Forward, for an input x (N, C, H, W) and scale factors (a, b), y is (N, C, a H, b W):

    y[n, c, p, q] = x[n, c, floor(p / a), floor(q / b)]

Backward, each input value was copied to a block of a x b outputs, so its gradient is the sum of theirs.

It is the simplest case of :mod:`layerkit.arithmetic.sums`: in every phase the output row is a copy of the input row.
"""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from layerkit.arithmetic.axes import Axis, Term
from layerkit.arithmetic.passes import Pass
from layerkit.arithmetic.sums import Sums, single
from layerkit.arithmetic.windows import channels_last, check_pictures, picture_memory, picture_shape
from layerkit.contracts.fields import Scale, pair
from layerkit.contracts.module import Module
from layerkit.contracts.specs import LayerSpec, Shape


class NearestUpsamplingSpec(LayerSpec):
    """Nearest-neighbour upsampling: y[c, p, q] = x[c, floor(p / scale), floor(q / scale)]."""

    example: ClassVar[dict[str, Any]] = {"scale_factor": 2}

    type: Literal["nearest_upsampling"] = Field(description="The name of the layer.")
    scale_factor: Scale = Field(default=2, description="How many times each pixel is repeated, or [down, across].")

    def output_shape(self, input_shape: Shape) -> Shape:
        channels, height, width = picture_shape(input_shape, "nearest_upsampling")
        down, across = pair(self.scale_factor)
        return channels, height * down, width * across

    def reference(self, input_shape: Shape) -> tuple[str, dict[str, Any]]:
        return "Upsample", {"scale_factor": pair(self.scale_factor), "mode": "nearest"}

    def build(self, input_shape: Shape, generator: torch.Generator) -> NearestUpsampling:
        return NearestUpsampling(self.scale_factor)


class NearestUpsampling(Module):
    """Repeats every pixel of a picture.

    Args:
        scale_factor: how many times each pixel is repeated, a number or (down, across).
    """

    def __init__(self, scale_factor: int | tuple[int, int] = 2) -> None:
        super().__init__()
        self.scale_factor = pair(scale_factor)
        self._sums = Sums(*map(_axis, self.scale_factor))

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, C, H * down, W * across) for x (N, C, H, W).

        Raises:
            ShapeError: when x is not a batch of pictures.
        """
        check_pictures(x, None, "NearestUpsampling")
        return self.carry_out("forward", (x,), lambda: self._plan_forward(x)).result

    def _plan_forward(self, x: Tensor) -> Pass[Tensor]:
        n, channels, height, width = x.shape
        down, across = self.scale_factor
        y = picture_memory(self, "y", (n, channels, height * down, width * across), x)
        return Pass(self._sums.combine(single(x), channels_last(y), partial(self.scratch, "halfway", like=x)), y)

    def backward(self, grad_output: Tensor) -> Tensor:
        """Return (N, C, H, W), the sum over each pixel's copies."""
        return self.carry_out("backward", (grad_output,), lambda: self._plan_backward(grad_output)).result

    def _plan_backward(self, grad: Tensor) -> Pass[Tensor]:
        n, channels, height, width = grad.shape
        down, across = self.scale_factor
        grad_x = picture_memory(self, "grad_input", (n, channels, height // down, width // across), grad)
        memory = partial(self.scratch, "halfway", like=grad)
        return Pass(self._sums.combine_transposed(channels_last(grad), single(grad_x), memory), grad_x)


def _axis(scale: int) -> Axis:
    """Return the terms: each phase of an enlarged row is the row."""
    return Axis(scale, 1, tuple(Term(phase, 0, 0, 1) for phase in range(scale)))
