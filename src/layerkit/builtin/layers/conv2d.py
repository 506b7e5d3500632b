"""Convolution.

Forward, for an input x (N, C, H, W), a weight (O, C, kh, kw) and a bias (O,), equation (1) of the report:

    y[n, o, p, q] = bias[o] + sum over c, i, j of weight[o, c, i, j] * x[n, c, p * stride + i * dilation - padding, ...]

For every kernel, stride, padding and dilation it is one matrix product of the windows of x
(:mod:`layerkit.arithmetic.patches`). Two cases can do with less: 3 x 3 kernels with stride 1 take fewer
multiplications (:mod:`layerkit.arithmetic.winograd`), and with stride 1 and few output channels it is cheaper to
multiply first and shift the products (:mod:`layerkit.arithmetic.shifts`) than to copy windows of the input. Equations
(2) to (4) of the report, the gradients, stand in each.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from layerkit.arithmetic.axes import Axis, Move, Term
from layerkit.arithmetic.patches import Patches
from layerkit.arithmetic.products import multiply_and_add
from layerkit.arithmetic.shifts import ShiftedProducts
from layerkit.arithmetic.windows import PLANAR_BELOW, check_pictures, output_size, picture_shape
from layerkit.arithmetic.winograd import KERNEL, Winograd
from layerkit.builtin.layers.initialization import xavier_normal_
from layerkit.contracts.fields import Channels, Kernel, Padding, Stride, pair
from layerkit.contracts.module import Module
from layerkit.contracts.specs import LayerSpec, Shape


class Conv2dSpec(LayerSpec):
    """Convolution: y[o] = bias[o] + sum over c of weight[o, c] * x[c], for pictures (C, H, W).

    Each side of the output is floor((size + 2 padding - dilation (kernel_size - 1) - 1) / stride) + 1.
    """

    example: ClassVar[dict[str, Any]] = {"out_channels": 44, "kernel_size": 3, "padding": 1}

    type: Literal["conv2d"] = Field(description="The name of the layer.")
    out_channels: Channels = Field(description="Channels of the output.")
    kernel_size: Kernel = Field(description="Height and width of the kernel: one number, or [height, width].")
    stride: Stride = Field(default=1, description="Steps between neighbouring windows.")
    padding: Padding = Field(default=0, description="Rows and columns of zeros on each side.")
    dilation: Stride = Field(default=1, description="Steps between neighbouring taps of the kernel.")
    bias: bool = Field(default=True, description="Whether a learned number is added to each output channel.")

    def output_shape(self, input_shape: Shape) -> Shape:
        _, *size = picture_shape(input_shape, "conv2d")
        return self.out_channels, *output_size(
            tuple(size), pair(self.kernel_size), pair(self.stride), pair(self.padding), pair(self.dilation)
        )

    def parameter_count(self, input_shape: Shape) -> int:
        kh, kw = pair(self.kernel_size)
        return self.out_channels * (input_shape[0] * kh * kw + self.bias)

    def multiply_adds(self, input_shape: Shape) -> int:
        kh, kw = pair(self.kernel_size)
        out_channels, rows, columns = self.output_shape(input_shape)
        return out_channels * rows * columns * input_shape[0] * kh * kw

    def reference(self, input_shape: Shape) -> tuple[str, dict[str, Any]]:
        arguments = {name: pair(getattr(self, name)) for name in ("kernel_size", "stride", "padding", "dilation")}
        channels = {"in_channels": input_shape[0], "out_channels": self.out_channels}
        return "Conv2d", {**channels, **arguments, "bias": self.bias}

    def build(self, input_shape: Shape, generator: torch.Generator) -> Conv2d:
        return Conv2d(
            input_shape[0],
            self.out_channels,
            self.kernel_size,
            self.stride,
            self.padding,
            self.dilation,
            self.bias,
            generator=generator,
        )


class Conv2d(Module):
    """Convolution of pictures, with the arguments of its torch namesake.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size, stride, padding, dilation: a number, or (vertical, horizontal).
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
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] = 0,
        dilation: int | tuple[int, int] = 1,
        bias: bool = True,
        *,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size, self.stride = pair(kernel_size), pair(stride)
        self.padding, self.dilation = pair(padding), pair(dilation)
        few_in, few_out = in_channels < PLANAR_BELOW, out_channels < PLANAR_BELOW
        if self.stride == (1, 1) and few_out and not few_in:
            axes = map(_taps_axis, self.kernel_size, self.padding, self.dilation)
            self._way = ShiftedProducts(self, *axes, in_channels, out_channels, self._kernels, self._add_kernels_grad)
        elif (self.kernel_size, self.stride, self.dilation) == (KERNEL, (1, 1), (1, 1)) and not few_in:
            self._way = Winograd(self, in_channels, out_channels, self.padding)
        else:
            sizes = self.kernel_size, self.stride, self.padding, self.dilation
            self._way = Patches(self, in_channels, out_channels, *sizes)
        kh, kw = self.kernel_size
        order = self._way.memory_order
        shape = [(out_channels, in_channels, kh, kw)[dim] for dim in order]
        weight = torch.empty(shape, dtype=dtype, device=device).permute([order.index(dim) for dim in range(4)])
        self.add_parameter("weight", xavier_normal_(weight, in_channels * kh * kw, out_channels * kh * kw, generator))
        self.bias = None
        if bias:
            self.add_parameter("bias", weight.new_zeros(out_channels))

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, out_channels, H_out, W_out) for x (N, in_channels, H, W)."""
        check_pictures(x, self.in_channels, "Conv2d")
        size = output_size(tuple(x.shape[2:]), self.kernel_size, self.stride, self.padding, self.dilation)
        return self._way.forward(x, size)

    def backward(self, grad_output: Tensor) -> Tensor | None:
        """Add to ``weight_grad`` and ``bias_grad``; return (N, in_channels, H, W), or None if nobody needs it."""
        return self._way.backward(grad_output)

    def _kernels(self) -> tuple[Tensor, list[Move]]:
        """Return a kernel for each tap."""
        return self._by_tap(self.weight), []

    def _add_kernels_grad(self, n: int, rows: Tensor, grad_products: Tensor) -> list[Move]:
        return multiply_and_add(n, grad_products, rows, self._by_tap(self.weight_grad), self.scratch)

    def _by_tap(self, weight: Tensor) -> Tensor:
        """Return the weight, or its gradient, as the view (kh * kw * O, C)."""
        return weight.permute(2, 3, 0, 1).view(-1, self.in_channels)


def _taps_axis(kernel: int, padding: int, dilation: int) -> Axis:
    """Return the terms y[q] = sum over taps i of Z_i[q + i dilation - padding], with Z_i = w_i x."""
    return Axis(1, kernel, tuple(Term(0, tap, tap * dilation - padding, 1) for tap in range(kernel)))
