"""Nearest-neighbour upsampling (NNUpsampling in section II.C of the report).

Forward, for an input x (N, C, H, W) and scale factors (a, b), y is (N, C, a H, b W):

    y[n, c, p, q] = x[n, c, floor(p / a), floor(q / b)]

Backward, each input value has fed a block of a x b outputs, so its gradient is the sum of theirs.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from layerkit.component import LayerSpec, Shape
from layerkit.fields import Scale, pair
from layerkit.layers.windows import channels_first, channels_last, check_pictures, picture_shape
from layerkit.module import Module


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
        scale_factor: how many times, a number or (down, across).
    """

    def __init__(self, scale_factor: int | tuple[int, int] = 2) -> None:
        super().__init__()
        self.scale_factor = pair(scale_factor)

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, C, H * down, W * across) for x (N, C, H, W)."""
        check_pictures(x, None, "NearestUpsampling")
        n, channels, height, width = x.shape
        down, across = self.scale_factor
        blocks = channels_last(x)[:, :, None, :, None, :].expand(n, height, down, width, across, channels)
        # The copy is wanted even where both factors are 1: an output is never the caller's own tensor.
        y = blocks.clone(memory_format=torch.contiguous_format)
        return channels_first(y.view(n, height * down, width * across, channels))

    def backward(self, grad_output: Tensor) -> Tensor:
        """Return (N, C, H, W), the sum over each pixel's copies."""
        _, _, height, width = grad_output.shape
        down, across = self.scale_factor
        grad = channels_last(grad_output).unflatten(1, (height // down, down)).unflatten(3, (width // across, across))
        return channels_first(grad.sum((2, 4)))
