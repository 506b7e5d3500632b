"""Nearest-neighbour upsampling followed by a convolution, in one step (section II.C of the report).

The plain formula is ``Sequential(NearestUpsampling(s), Conv2d(C, O, k, padding=p))``. It is computed here in phases,
without ever making the enlarged picture: the output row s q + r sees the enlarged picture's rows s q + r + i - p
through its taps i = 0 .. k-1, and those are the small picture's rows

    q + floor((r + i - p) / s).

A 3x3 kernel over a picture enlarged twice becomes four 2x2 kernels: 16 multiplications for a small pixel and channel
instead of 36. How phases work, forwards and backwards, stands in :mod:`layerkit.layers.phases`.
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from layerkit.component import LayerSpec, Shape
from layerkit.fields import Channels, Kernel, Padding, Scale, pair
from layerkit.layers import phases
from layerkit.layers.initialization import kernel_tensor, xavier_normal_
from layerkit.layers.windows import channels_first, channels_last, check_pictures, output_size, picture_shape
from layerkit.module import Module


class UpsamplingSpec(LayerSpec):
    """Nearest-neighbour upsampling by ``scale_factor``, then a convolution with stride 1."""

    example = {"out_channels": 44, "kernel_size": 3, "scale_factor": 2, "padding": 1}

    type: Literal["upsampling"] = Field(description="The name of the layer.")
    out_channels: Channels = Field(description="Channels of the output.")
    kernel_size: Kernel = Field(default=3, description="Height and width of the kernel: a number, or [height, width].")
    scale_factor: Scale = Field(default=2, description="How many times each pixel is repeated, or [down, across].")
    padding: Padding = Field(default=1, description="Rows and columns of zeros around the enlarged picture.")
    bias: bool = Field(default=True, description="Whether a learned number is added to each output channel.")

    def output_shape(self, input_shape: Shape) -> Shape:
        _, height, width = picture_shape(input_shape, "upsampling")
        down, across = pair(self.scale_factor)
        return self.out_channels, *output_size(
            (height * down, width * across), pair(self.kernel_size), (1, 1), pair(self.padding)
        )

    def parameter_count(self, input_shape: Shape) -> int:
        kh, kw = pair(self.kernel_size)
        return self.out_channels * (input_shape[0] * kh * kw + self.bias)

    def multiply_adds(self, input_shape: Shape) -> int:
        kh, kw = pair(self.kernel_size)
        out_channels, rows, columns = self.output_shape(input_shape)
        return out_channels * rows * columns * input_shape[0] * kh * kw

    def build(self, input_shape: Shape, generator: torch.Generator) -> Upsampling:
        return Upsampling(
            input_shape[0],
            self.out_channels,
            self.kernel_size,
            self.scale_factor,
            self.padding,
            self.bias,
            generator=generator,
        )


class Upsampling(Module):
    """Enlarges a picture and convolves it.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size, scale_factor, padding: a number, or (vertical, horizontal).
        bias: whether a learned number is added to each output channel.
        dtype, device: of the parameters; torch's defaults when None.
        generator: source of the initial weights; torch's default generator when None.

    Attributes:
        weight: (out_channels, in_channels, kh, kw), Xavier-normal at first.
        bias: (out_channels,), zero at first; None without.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int] = 3,
        scale_factor: int | tuple[int, int] = 2,
        padding: int | tuple[int, int] = 1,
        bias: bool = True,
        *,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size, self.scale_factor, self.padding = pair(kernel_size), pair(scale_factor), pair(padding)
        self._phases = self.scale_factor[0] * self.scale_factor[1]
        self._offsets = tuple(map(_offsets, self.kernel_size, self.scale_factor, self.padding))
        area = self.kernel_size[0] * self.kernel_size[1]
        weight = kernel_tensor(out_channels, in_channels, self.kernel_size, dtype=dtype, device=device)
        self.add_parameter("weight", xavier_normal_(weight, in_channels * area, out_channels * area, generator))
        self.bias = None
        if bias:
            self.add_parameter("bias", weight.new_zeros(out_channels))

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, out_channels, H_out, W_out) for x (N, in_channels, H, W)."""
        check_pictures(x, self.in_channels, "Upsampling")
        down, across = self._axes(tuple(x.shape[2:]))
        patches = phases.phase_windows(channels_last(x), down, across)
        kernels = phases.fold(self._flat(self.weight), self._folding(), self._phases)
        if self.bias is None:
            products = patches @ kernels.t()
        else:
            products = torch.addmm(self.bias.repeat(self._phases), patches, kernels.t())
        self.save(patches, kernels, tuple(x.shape[2:]))
        return channels_first(phases.interleave(products, len(x), down, across))

    def backward(self, grad_output: Tensor) -> Tensor | None:
        """Add to ``weight_grad`` and ``bias_grad``; return (N, in_channels, H, W), or None if nobody needs it."""
        patches, kernels, size = self.saved()
        down, across = self._axes(size)
        grad = phases.separate(channels_last(grad_output), down, across)
        kernels_grad = grad.t() @ patches
        self._flat(self.weight_grad).add_(phases.unfold(kernels_grad, self._folding(), self._phases, self.in_channels))
        if self.bias is not None:
            self.bias_grad.add_(grad.sum(0).view(self._phases, self.out_channels).sum(0))
        if not self.needs_input_grad:
            return None
        return channels_first(phases.add_phase_windows(grad @ kernels, down, across, size, self.in_channels))

    def _axes(self, size: tuple[int, int]) -> tuple[phases.Axis, phases.Axis]:
        enlarged = size[0] * self.scale_factor[0], size[1] * self.scale_factor[1]
        output = output_size(enlarged, self.kernel_size, (1, 1), self.padding)
        down, across = self._offsets
        return phases.axis(down, size[0], output[0]), phases.axis(across, size[1], output[1])

    def _folding(self) -> Tensor:
        return phases.folding(*self._offsets, self.weight.dtype, self.weight.device)

    @staticmethod
    def _flat(weight: Tensor) -> Tensor:
        """Return (O, C, kh, kw) as the view (O, kh * kw, C)."""
        return weight.permute(0, 2, 3, 1).flatten(1, 2)


def _offsets(kernel: int, scale: int, padding: int) -> phases.Offsets:
    return tuple(tuple((phase + tap - padding) // scale for tap in range(kernel)) for phase in range(scale))
