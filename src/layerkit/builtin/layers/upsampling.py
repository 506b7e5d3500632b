"""Nearest-neighbour upsampling followed by a convolution, in one step (section II.C of the report).

The plain formula, :func:`plain_forward` and :func:`plain_backward`, convolves the enlarged picture X; the tests compare
the layer with it.

The layer itself never makes X: a kernel of k x k taps costs k x k multiplications for each pixel of the *small* picture
x, and the plain formula s^2 times as many.

Along one direction, the output row s q + r (its phase is r) gets, through tap i, the row s q + r + i - p of X, which is
row floor((s q + r + i - p) / s) of x. With the cumulative weights c_i = w_0 + ... + w_(i-1), summation by parts gives

    sum over i of w_i X_i = c_k X_(k-1) - sum over i = 1 .. k-1 of c_i (X_i - X_(i-1)).

X_i and X_(i-1) are the same row of x unless s divides r + i - p, which for each i happens in one phase only. So there
are k products in all, z_i = c_i x for i = 1 .. k, and each output row is a sum of a few shifted rows of them: +z_k of
the row at the last tap, and for each i at which the kernel passes from one row of x to the next, -z_i of the next row
and +z_i of the row before. Zero padding needs no special case, since a row outside X is outside x.

In two directions c becomes the summed-area table of the kernel. :mod:`layerkit.arithmetic.shifts` computes the sums of
shifted rows, forward and backward; the gradient of the weight is the transposed cumulative sum of the gradient of c.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal, Unpack

import torch
from pydantic import Field
from torch import Tensor

from layerkit.arithmetic.axes import Axis, Term
from layerkit.arithmetic.products import Rows
from layerkit.arithmetic.shifts import ShiftedProducts
from layerkit.arithmetic.sums import Sums
from layerkit.arithmetic.windows import Pair, output_size, picture_shape
from layerkit.builtin.layers import conv2d
from layerkit.builtin.layers.convolution import Convolution, ConvolutionSpec
from layerkit.builtin.layers.initialization import Start
from layerkit.contracts.fields import Channels, Kernel, Padding, Scale, pair
from layerkit.contracts.specs import Shape
from layerkit.contracts.twin import Twin


def plain_forward(x: Tensor, weight: Tensor, bias: Tensor, scale: Pair, padding: Pair) -> Tensor:
    """Return the convolution of X, in which every pixel of x is repeated."""
    enlarged = x.repeat_interleave(scale[0], 2).repeat_interleave(scale[1], 3)
    return conv2d.plain_forward(enlarged, weight, bias, (1, 1), padding, (1, 1))


def plain_backward(
    grad_output: Tensor, x: Tensor, weight: Tensor, scale: Pair, padding: Pair
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients of x, weight and bias; the gradient of a pixel of x is the sum over its copies in X."""
    enlarged = x.repeat_interleave(scale[0], 2).repeat_interleave(scale[1], 3)
    grad, grad_weight, grad_bias = conv2d.plain_backward(grad_output, enlarged, weight, (1, 1), padding, (1, 1))
    n, channels, height, width = x.shape
    grad_x = grad.reshape(n, channels, height, scale[0], width, scale[1]).sum((3, 5))
    return grad_x, grad_weight, grad_bias


class UpsamplingSpec(ConvolutionSpec):
    """Nearest-neighbour upsampling by ``scale_factor``, then a convolution with stride 1."""

    example: ClassVar[dict[str, Any]] = {"out_channels": 44, "kernel_size": 3, "scale_factor": 2, "padding": 1}

    type: Literal["upsampling"] = Field(description="The name of the layer.")
    kernel_size: Kernel = Field(default=3, description="Height and width of the kernel: a number, or [height, width].")
    scale_factor: Scale = Field(default=2, description="How many times each pixel is repeated, or [down, across].")
    padding: Padding = Field(default=1, description="Rows and columns of zeros around the enlarged picture.")

    def output_shape(self, input_shape: Shape) -> Shape:
        _, height, width = picture_shape(input_shape, "upsampling")
        sizes = map(pair, (self.kernel_size, self.scale_factor, self.padding))
        return self.out_channels, *_output_size((height, width), *sizes)

    def twin(self, input_shape: Shape) -> Twin:
        arguments = self.arguments(input_shape)
        larger = {"scale_factor": pair(arguments.pop("scale_factor")), "mode": "nearest"}
        return Twin("Sequential", inside=(Twin("Upsample", larger), Twin("Conv2d", arguments)))

    def build(self, input_shape: Shape, generator: torch.Generator) -> Upsampling:
        return Upsampling(**self.arguments(input_shape), gain=self.gain, generator=generator)


class Upsampling(Convolution):
    """Nearest-neighbour upsampling followed by a convolution.

    Args:
        in_channels, out_channels, kernel_size: see :class:`~layerkit.builtin.layers.convolution.Convolution`.
        scale_factor: how many times each pixel is repeated.
        padding: rows and columns of zeros around the enlarged picture.
        bias: whether a learned number is added to each output channel.
        gain: a factor for the initial weights.
        start: dtype, device and generator, see :class:`~layerkit.builtin.layers.initialization.Start`.
    """

    def __init__(
        self,
        in_channels: Channels,
        out_channels: Channels,
        kernel_size: int | Pair = 3,
        scale_factor: int | Pair = 2,
        padding: int | Pair = 1,
        bias: bool = True,
        gain: float = 1.0,
        **start: Unpack[Start],
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size)
        self.scale_factor, self.padding = pair(scale_factor), pair(padding)
        sums = Sums(*map(_axis, self.kernel_size, self.scale_factor, self.padding))
        down, across = map(_cumulative, self.kernel_size)
        self.compute_by(ShiftedProducts(self, sums, (down, across)), bias, gain, **start)

    def output_size(self, size: Pair) -> Pair:
        return _output_size(size, self.kernel_size, self.scale_factor, self.padding)


def _output_size(size: Pair, kernel: Pair, scale: Pair, padding: Pair) -> Pair:
    return output_size((size[0] * scale[0], size[1] * scale[1]), kernel, (1, 1), padding)


def _cumulative(kernel: int) -> Rows:
    """Return the matrix of zeros and ones that computes the cumulative weights c from w."""
    return tuple(tuple(float(tap <= last) for tap in range(kernel)) for last in range(kernel))


def _axis(kernel: int, scale: int, padding: int) -> Axis:
    """Return the terms of the sum in the module's docstring; product i - 1 is that of c_i."""
    terms: list[Term] = []
    for phase in range(scale):
        terms.append(Term(phase, kernel - 1, (phase + kernel - 1 - padding) // scale, 1))
        for tap in range(1, kernel):
            row, rest = divmod(phase + tap - padding, scale)
            if rest == 0:
                terms += [Term(phase, tap - 1, row, -1), Term(phase, tap - 1, row - 1, 1)]
    return Axis(scale, kernel, tuple(terms))
