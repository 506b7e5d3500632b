"""Pixel shuffle: rearranges channels into pixels, as sub-pixel convolutions do.

Forward, for an input x (N, C r^2, H, W) and an upscale factor r, y is (N, C, H r, W r):

    y[n, c, h r + i, w r + j] = x[n, c r^2 + i r + j, h, w],   i, j = 0 .. r-1

(Shi et al. 2016, "Real-time single image and video super-resolution using an efficient sub-pixel convolutional neural
network", equation 4, in the channel order of torch). Backward, the gradients are rearranged the other way.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from layerkit.arithmetic.windows import channels_first, channels_last, check_pictures, picture_shape
from layerkit.contracts.module import Module
from layerkit.contracts.specs import LayerSpec, Shape
from layerkit.errors import ShapeError


class PixelShuffleSpec(LayerSpec):
    """Rearranges channels into pixels: y[c, h r + i, w r + j] = x[c r^2 + i r + j, h, w]; r^2 times fewer channels."""

    example: ClassVar[dict[str, Any]] = {"upscale_factor": 2}

    type: Literal["pixel_shuffle"] = Field(description="The name of the layer.")
    upscale_factor: int = Field(ge=1, le=64, description="r, how many times larger each side becomes.")

    def output_shape(self, input_shape: Shape) -> Shape:
        channels, height, width = picture_shape(input_shape, "pixel_shuffle")
        factor = self.upscale_factor
        return _fewer_channels(channels, factor), height * factor, width * factor

    def build(self, input_shape: Shape, generator: torch.Generator) -> PixelShuffle:
        return PixelShuffle(self.upscale_factor)

    def reference(self, input_shape: Shape) -> tuple[str, dict[str, Any]]:
        return "PixelShuffle", {"upscale_factor": self.upscale_factor}


class PixelShuffle(Module):
    """Rearranges r^2 channels into r x r pixels, like its torch namesake.

    Args:
        upscale_factor: r.
    """

    def __init__(self, upscale_factor: int) -> None:
        super().__init__()
        self.upscale_factor = upscale_factor

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, C, H r, W r) for x (N, C r^2, H, W).

        Raises:
            ShapeError: when x is not a batch of pictures, or its number of channels is not a multiple of r^2.
        """
        check_pictures(x, None, "PixelShuffle")
        n, channels, height, width = x.shape
        factor = self.upscale_factor
        channels = _fewer_channels(channels, factor)
        y = x.new_empty(n, height, factor, width, factor, channels)
        y.copy_(channels_last(x).view(n, height, width, channels, factor, factor).permute(0, 1, 4, 2, 5, 3))
        return channels_first(y.view(n, height * factor, width * factor, channels))

    def backward(self, grad_output: Tensor) -> Tensor:
        """Return (N, C r^2, H, W)."""
        n, channels, height, width = grad_output.shape
        factor = self.upscale_factor
        grad = grad_output.new_empty(n, height // factor, width // factor, channels, factor, factor)
        blocks = channels_last(grad_output).view(n, height // factor, factor, width // factor, factor, channels)
        grad.copy_(blocks.permute(0, 1, 3, 5, 2, 4))
        return channels_first(grad.flatten(3))


def _fewer_channels(channels: int, factor: int) -> int:
    if channels % factor**2:
        more = -(-channels // factor**2) * factor**2
        raise ShapeError(
            f"upscale_factor {factor} needs a multiple of {factor**2} channels, not {channels}; "
            f"let the layer before it make {more}"
        )
    return channels // factor**2
