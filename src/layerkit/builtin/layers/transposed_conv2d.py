"""Transposed convolution, which makes pictures larger.

Forward, for an input x (N, C, H, W), a weight (C, O, kh, kw) and a bias (O,), every input value is spread over a window
of the output, and windows that overlap add up:

    y[n, o, p * stride + i * dilation - padding, ...] += weight[c, o, i, j] * x[n, c, p, q],   and bias[o] everywhere.

It is a convolution's backward pass used forwards (Dumoulin and Visin 2016, "A guide to convolution arithmetic for deep
learning", chapter 4). Along one direction, the output row s q + r sees through tap i the input row
(s q + r + p - i d) / s where that is a whole number, so it is a sum of shifted rows of the products Z_i = w_i x, one
for each tap. How such sums are made, and their transpose for the gradients, stands in
:mod:`layerkit.arithmetic.shifts`.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from layerkit.arithmetic.axes import Axis, Move, Term
from layerkit.arithmetic.products import multiply_and_add
from layerkit.arithmetic.windows import Pair, check_pictures, picture_shape
from layerkit.builtin.layers.shifted import ShiftedConvolution
from layerkit.contracts.fields import Channels, IntegerOrPair, Kernel, Padding, Stride, pair
from layerkit.contracts.specs import LayerSpec, Shape
from layerkit.errors import ShapeError


class TransposedConv2dSpec(LayerSpec):
    """Transposed convolution: every pixel is spread over a window of the output, y = bias + sum of weight * x.

    Each side of the output is (size - 1) stride - 2 padding + dilation (kernel_size - 1) + output_padding + 1.
    """

    example: ClassVar[dict[str, Any]] = {"out_channels": 44, "kernel_size": 4, "stride": 2, "padding": 1}

    type: Literal["transposed_conv2d"] = Field(description="The name of the layer.")
    out_channels: Channels = Field(description="Channels of the output.")
    kernel_size: Kernel = Field(description="Height and width of the kernel: one number, or [height, width].")
    stride: Stride = Field(default=1, description="Steps between the windows of neighbouring pixels.")
    padding: Padding = Field(default=0, description="Rows and columns that are cut off on each side of the output.")
    output_padding: Annotated[int | tuple[int, int], IntegerOrPair(0, 1023)] = Field(
        default=0, description="Rows and columns more at the lower and right side; less than stride or dilation."
    )
    bias: bool = Field(default=True, description="Whether a learned number is added to each output channel.")
    dilation: Stride = Field(default=1, description="Steps between neighbouring taps of the kernel.")

    def output_shape(self, input_shape: Shape) -> Shape:
        _, *size = picture_shape(input_shape, "transposed_conv2d")
        return self.out_channels, *_output_size(
            tuple(size),
            pair(self.kernel_size),
            pair(self.stride),
            pair(self.padding),
            pair(self.output_padding),
            pair(self.dilation),
        )

    def parameter_count(self, input_shape: Shape) -> int:
        kh, kw = pair(self.kernel_size)
        return self.out_channels * (input_shape[0] * kh * kw + self.bias)

    def multiply_adds(self, input_shape: Shape) -> int:
        kh, kw = pair(self.kernel_size)
        channels, rows, columns = input_shape
        return channels * rows * columns * self.out_channels * kh * kw

    def build(self, input_shape: Shape, generator: torch.Generator) -> TransposedConv2d:
        return TransposedConv2d(*self._arguments(input_shape).values(), generator=generator)

    def reference(self, input_shape: Shape) -> tuple[str, dict[str, Any]]:
        return "ConvTranspose2d", self._arguments(input_shape)

    def _arguments(self, input_shape: Shape) -> dict[str, Any]:
        return {
            "in_channels": input_shape[0],
            "out_channels": self.out_channels,
            "kernel_size": self.kernel_size,
            "stride": self.stride,
            "padding": self.padding,
            "output_padding": self.output_padding,
            "bias": self.bias,
            "dilation": self.dilation,
        }


class TransposedConv2d(ShiftedConvolution):
    """Transposed convolution of pictures, as ``torch.nn.ConvTranspose2d``.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size, stride, padding, output_padding, dilation: a number, or (vertical, horizontal).
        bias: whether a learned number is added to each output channel.
        dtype, device: of the parameters; torch's defaults when None.
        generator: source of the initial weights; torch's default generator when None.

    Attributes:
        weight: (in_channels, out_channels, kh, kw), Xavier-normal at first.
        bias: (out_channels,), zero at first; None without.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] = 0,
        output_padding: int | tuple[int, int] = 0,
        bias: bool = True,
        dilation: int | tuple[int, int] = 1,
        *,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__(
            in_channels, out_channels, kernel_size, bias, (3, 2, 0, 1), generator, dtype=dtype, device=device
        )
        self.stride, self.padding = pair(stride), pair(padding)
        self.output_padding, self.dilation = pair(output_padding), pair(dilation)
        self.work_along(*map(_axis, self.kernel_size, self.stride, self.padding, self.dilation))

    def size_of_output(self, x: Tensor) -> Pair:
        check_pictures(x, self.in_channels, "TransposedConv2d")
        size = x.shape[2], x.shape[3]
        return _output_size(size, self.kernel_size, self.stride, self.padding, self.output_padding, self.dilation)

    def kernels(self) -> tuple[Tensor, list[Move]]:
        return self.taps(self.weight).view(-1, self.in_channels), []

    def add_kernels_grad(self, n: int, rows: Tensor, grad_products: Tensor) -> list[Move]:
        grad = self.taps(self.weight_grad).view(-1, self.in_channels)
        return multiply_and_add(n, grad_products, rows, grad, self.scratch)


def _axis(kernel: int, stride: int, padding: int, dilation: int) -> Axis:
    terms = []
    for phase in range(stride):
        for tap in range(kernel):
            row, rest = divmod(phase + padding - tap * dilation, stride)
            if rest == 0:
                terms.append(Term(phase, tap, row, 1))
    return Axis(stride, kernel, tuple(terms))


def _output_size(size: Pair, kernel: Pair, stride: Pair, padding: Pair, output_padding: Pair, dilation: Pair) -> Pair:
    if any(output_padding[i] >= max(stride[i], dilation[i]) for i in range(2)):
        raise ShapeError(
            f"output_padding {output_padding[0]}x{output_padding[1]} must be smaller than stride "
            f"{stride[0]}x{stride[1]} or dilation {dilation[0]}x{dilation[1]}; use less of it"
        )
    height, width = (
        (size[i] - 1) * stride[i] - 2 * padding[i] + dilation[i] * (kernel[i] - 1) + output_padding[i] + 1
        for i in range(2)
    )
    if height < 1 or width < 1:
        raise ShapeError(
            f"padding {padding[0]}x{padding[1]} cuts off all that a kernel of {kernel[0]}x{kernel[1]} makes of an "
            f"input of {size[0]}x{size[1]}; use less padding"
        )
    return height, width
