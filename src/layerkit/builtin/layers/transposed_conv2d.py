"""Transposed convolution, which enlarges pictures.

Forward, for an input x (N, C, H, W), a weight (C, O, kh, kw) and a bias (O,), every input value is spread over a window
of the output, and windows that overlap add up:

    y[n, o, p * stride + i * dilation - padding, ...] += weight[c, o, i, j] * x[n, c, p, q],   and bias[o] everywhere.

:func:`plain_forward` and :func:`plain_backward` compute exactly these formulas, one tap (i, j) after another; the tests
compare the layer with them. The forward pass is the backward pass of a convolution (Dumoulin and Visin 2016, "A guide
to convolution arithmetic for deep learning", chapter 4). Along one direction, the output row s q + r gets, through tap
i, the input row (s q + r + p - i d) / s where that is a whole number. So it is a sum of shifted rows of the products
z_i = w_i x, one for each tap; :mod:`layerkit.arithmetic.shifts` computes such sums, and their transpose for the
gradients.
"""

from __future__ import annotations

from itertools import product
from typing import Annotated, Any, ClassVar, Literal, Unpack

import torch
from pydantic import Field
from torch import Tensor

from layerkit.arithmetic.axes import Axis, Term
from layerkit.arithmetic.shifts import ShiftedProducts
from layerkit.arithmetic.sums import Sums
from layerkit.arithmetic.windows import Pair, framed, picture_shape, picture_size, seen, unframed
from layerkit.builtin.layers.convolution import Convolution, ConvolutionSpec
from layerkit.builtin.layers.initialization import Start
from layerkit.contracts.fields import Channels, IntegerOrPair, Padding, Stride, pair
from layerkit.contracts.specs import Shape
from layerkit.errors import ShapeError


def plain_forward(
    x: Tensor, weight: Tensor, bias: Tensor, stride: Pair, padding: Pair, output_padding: Pair, dilation: Pair
) -> Tensor:
    """Return y (N, O, H_out, W_out), by the formula above."""
    size, kernel = picture_size(x), picture_size(weight)
    height, width = output_size(size, kernel, stride, padding, output_padding, dilation)
    y = x.new_zeros(len(x), len(bias), height + 2 * padding[0], width + 2 * padding[1])
    for i, j in product(*map(range, kernel)):
        spread = torch.einsum("co,ncpq->nopq", weight[:, :, i, j], x)
        seen(y, (i, j), size, stride, dilation).add_(spread)
    return unframed(y, padding) + bias[:, None, None]


def plain_backward(
    grad_output: Tensor, x: Tensor, weight: Tensor, stride: Pair, padding: Pair, dilation: Pair
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients of x, weight and bias, by the formula above."""
    grad_x, grad_weight, grad = torch.zeros_like(x), torch.zeros_like(weight), framed(grad_output, padding)
    for i, j in product(*map(range, picture_size(weight))):
        grad_spread = seen(grad, (i, j), picture_size(x), stride, dilation)
        grad_weight[:, :, i, j] = torch.einsum("ncpq,nopq->co", x, grad_spread)
        grad_x += torch.einsum("co,nopq->ncpq", weight[:, :, i, j], grad_spread)
    return grad_x, grad_weight, grad_output.sum((0, 2, 3))


class TransposedConv2dSpec(ConvolutionSpec):
    """Transposed convolution: every pixel is spread over a window of the output, y = bias + sum of weight * x.

    Each side of the output is (size - 1) stride - 2 padding + dilation (kernel_size - 1) + output_padding + 1.
    """

    example: ClassVar[dict[str, Any]] = {"out_channels": 44, "kernel_size": 4, "stride": 2, "padding": 1}

    type: Literal["transposed_conv2d"] = Field(description="The name of the layer.")
    stride: Stride = Field(default=1, description="Steps between the windows of neighbouring pixels.")
    padding: Padding = Field(default=0, description="Rows and columns removed from each side of the output.")
    output_padding: Annotated[int | tuple[int, int], IntegerOrPair(0, 1023)] = Field(
        default=0, description="Extra rows at the lower and columns at the right side; less than stride or dilation."
    )
    dilation: Stride = Field(default=1, description="Steps between neighbouring taps of the kernel.")

    def output_shape(self, input_shape: Shape) -> Shape:
        _, height, width = picture_shape(input_shape, "transposed_conv2d")
        sizes = self.kernel_size, self.stride, self.padding, self.output_padding, self.dilation
        return self.out_channels, *output_size((height, width), *map(pair, sizes))

    def multiply_adds(self, input_shape: Shape) -> int:
        kh, kw = pair(self.kernel_size)
        channels, rows, columns = input_shape
        return channels * rows * columns * self.out_channels * kh * kw

    def reference(self, input_shape: Shape) -> tuple[str, dict[str, Any]]:
        return "ConvTranspose2d", self.arguments(input_shape)

    def build(self, input_shape: Shape, generator: torch.Generator) -> TransposedConv2d:
        return TransposedConv2d(**self.arguments(input_shape), gain=self.gain, generator=generator)


class TransposedConv2d(Convolution):
    """Transposed convolution of pictures, as ``torch.nn.ConvTranspose2d``.

    Args:
        in_channels, out_channels, kernel_size: see :class:`~layerkit.builtin.layers.convolution.Convolution`.
        stride: steps between the windows of neighbouring pixels.
        padding: rows and columns removed from each side of the output.
        output_padding: extra rows at the lower and columns at the right side; less than stride or dilation.
        bias: whether a learned number is added to each output channel.
        dilation: steps between neighbouring taps of the kernel.
        gain: a factor for the initial weights.
        start: dtype, device and generator, see :class:`~layerkit.builtin.layers.initialization.Start`.

    Attributes:
        weight: (in_channels, out_channels, kh, kw), Xavier-normal at first.
    """

    weight_dims = (1, 0, 2, 3)

    def __init__(
        self,
        in_channels: Channels,
        out_channels: Channels,
        kernel_size: int | Pair,
        stride: int | Pair = 1,
        padding: int | Pair = 0,
        output_padding: int | Pair = 0,
        bias: bool = True,
        dilation: int | Pair = 1,
        gain: float = 1.0,
        **start: Unpack[Start],
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size)
        self.stride, self.padding = pair(stride), pair(padding)
        self.output_padding, self.dilation = pair(output_padding), pair(dilation)
        sums = Sums(*map(_axis, self.kernel_size, self.stride, self.padding, self.dilation))
        self.compute_by(ShiftedProducts(self, sums), bias, gain, **start)

    def output_size(self, size: Pair) -> Pair:
        return output_size(size, self.kernel_size, self.stride, self.padding, self.output_padding, self.dilation)


def _axis(kernel: int, stride: int, padding: int, dilation: int) -> Axis:
    """Return the terms of the sum in the module's docstring; product i is that of tap i."""
    terms = []
    for phase in range(stride):
        for tap in range(kernel):
            row, rest = divmod(phase + padding - tap * dilation, stride)
            if rest == 0:
                terms.append(Term(phase, tap, row, 1))
    return Axis(stride, kernel, tuple(terms))


def output_size(size: Pair, kernel: Pair, stride: Pair, padding: Pair, output_padding: Pair, dilation: Pair) -> Pair:
    """Return (height, width) of the output for a picture of ``size``.

    Raises:
        ShapeError: when ``output_padding`` is too large, or ``padding`` leaves nothing.
    """
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
            f"padding {padding[0]}x{padding[1]} removes the whole output of a kernel of {kernel[0]}x{kernel[1]} for an "
            f"input of {size[0]}x{size[1]}; use less padding"
        )
    return height, width
