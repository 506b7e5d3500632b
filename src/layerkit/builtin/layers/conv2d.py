"""Convolution.

Forward, for an input x (N, C, H, W), a weight (O, C, kh, kw) and a bias (O,), equation (1) of the report:

    y[n, o, p, q] = bias[o] + sum over c, i, j of weight[o, c, i, j] * x[n, c, p * stride + i * dilation - padding, ...]

Backward, every product passes its gradient on to both of its factors, equations (2) to (4) of the report.

:func:`plain_forward` and :func:`plain_backward` compute exactly these formulas, one tap (i, j) after another, so that
they can be checked on paper; the tests compare the layer with them. In evaluation mode, compiled code computes the
formula, if it is available (:mod:`layerkit.arithmetic.direct`). Otherwise the layer uses the fastest of three ways. A
matrix product with the copied windows of x works for every kernel, stride, padding and dilation
(:mod:`layerkit.arithmetic.patches`). 3 x 3 kernels with stride 1 need fewer multiplications
(:mod:`layerkit.arithmetic.winograd`). With stride 1 and few output channels it is cheaper to multiply first and to
shift the products (:mod:`layerkit.arithmetic.shifts`) than to copy windows.
"""

from __future__ import annotations

from itertools import product
from typing import Any, ClassVar, Literal, Unpack

import torch
from pydantic import Field
from torch import Tensor

from layerkit.arithmetic.axes import Axis, Term
from layerkit.arithmetic.direct import Direct
from layerkit.arithmetic.implicit import ImplicitProducts
from layerkit.arithmetic.patches import Patches
from layerkit.arithmetic.shifts import ShiftedProducts
from layerkit.arithmetic.sums import Sums
from layerkit.arithmetic.way import Way
from layerkit.arithmetic.windows import (
    PLANAR_BELOW,
    Pair,
    framed,
    output_size,
    picture_shape,
    picture_size,
    seen,
    unframed,
)
from layerkit.arithmetic.winograd import KERNEL, Winograd
from layerkit.builtin.layers.convolution import Convolution, ConvolutionSpec
from layerkit.builtin.layers.initialization import Start
from layerkit.contracts.fields import Channels, Padding, Stride, pair
from layerkit.contracts.specs import Shape


def plain_forward(x: Tensor, weight: Tensor, bias: Tensor, stride: Pair, padding: Pair, dilation: Pair) -> Tensor:
    """Return y (N, O, H_out, W_out), by the formula above."""
    kernel = picture_size(weight)
    size = output_size(picture_size(x), kernel, stride, padding, dilation)
    x = framed(x, padding)
    y = bias[:, None, None].expand(len(x), len(bias), *size).clone()
    for i, j in product(*map(range, kernel)):
        y += torch.einsum("oc,ncpq->nopq", weight[:, :, i, j], seen(x, (i, j), size, stride, dilation))
    return y


def plain_backward(
    grad_output: Tensor, x: Tensor, weight: Tensor, stride: Pair, padding: Pair, dilation: Pair
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients of x, weight and bias, by the formula above."""
    size = picture_size(grad_output)
    x = framed(x, padding)
    grad_x, grad_weight = torch.zeros_like(x), torch.zeros_like(weight)
    for i, j in product(*map(range, picture_size(weight))):
        grad_weight[:, :, i, j] = torch.einsum("nopq,ncpq->oc", grad_output, seen(x, (i, j), size, stride, dilation))
        grad_seen = torch.einsum("oc,nopq->ncpq", weight[:, :, i, j], grad_output)
        seen(grad_x, (i, j), size, stride, dilation).add_(grad_seen)
    return unframed(grad_x, padding), grad_weight, grad_output.sum((0, 2, 3))


class Conv2dSpec(ConvolutionSpec):
    """Convolution: y[o] = bias[o] + sum over c of weight[o, c] * x[c], for pictures (C, H, W).

    Each side of the output is floor((size + 2 padding - dilation (kernel_size - 1) - 1) / stride) + 1.
    """

    example: ClassVar[dict[str, Any]] = {"out_channels": 44, "kernel_size": 3, "padding": 1}

    type: Literal["conv2d"] = Field(description="The name of the layer.")
    stride: Stride = Field(default=1, description="Steps between neighbouring windows.")
    padding: Padding = Field(default=0, description="Rows and columns of zeros on each side.")
    dilation: Stride = Field(default=1, description="Steps between neighbouring taps of the kernel.")

    def output_shape(self, input_shape: Shape) -> Shape:
        _, height, width = picture_shape(input_shape, "conv2d")
        sizes = map(pair, (self.kernel_size, self.stride, self.padding, self.dilation))
        return self.out_channels, *output_size((height, width), *sizes)

    def reference(self, input_shape: Shape) -> tuple[str, dict[str, Any]]:
        return "Conv2d", self.arguments(input_shape)

    def build(self, input_shape: Shape, generator: torch.Generator) -> Conv2d:
        return Conv2d(**self.arguments(input_shape), gain=self.gain, generator=generator)


class Conv2d(Convolution):
    """Convolution of pictures, with the arguments of its torch namesake.

    Args:
        in_channels, out_channels, kernel_size: see :class:`~layerkit.builtin.layers.convolution.Convolution`.
        stride: steps between neighbouring windows.
        padding: rows and columns of zeros on each side.
        dilation: steps between neighbouring taps of the kernel.
        bias: whether a learned number is added to each output channel.
        gain: a factor for the initial weights.
        start: dtype, device and generator, see :class:`~layerkit.builtin.layers.initialization.Start`.
    """

    def __init__(
        self,
        in_channels: Channels,
        out_channels: Channels,
        kernel_size: int | Pair,
        stride: int | Pair = 1,
        padding: int | Pair = 0,
        dilation: int | Pair = 1,
        bias: bool = True,
        gain: float = 1.0,
        **start: Unpack[Start],
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size)
        self.stride, self.padding, self.dilation = pair(stride), pair(padding), pair(dilation)
        sizes = self.stride, self.padding, self.dilation
        self.compute_by(self._fastest_way(), bias, gain, Direct(self, *sizes), ImplicitProducts(self, *sizes), **start)

    def _fastest_way(self) -> Way:
        few_in, few_out = self.in_channels < PLANAR_BELOW, self.out_channels < PLANAR_BELOW
        if self.stride == (1, 1) and few_out and not few_in:
            return ShiftedProducts(self, Sums(*map(_axis, self.kernel_size, self.padding, self.dilation)))
        if (self.kernel_size, self.stride, self.dilation) == (KERNEL, (1, 1), (1, 1)) and not few_in:
            return Winograd(self, self.padding)
        return Patches(self, self.stride, self.padding, self.dilation)

    def output_size(self, size: Pair) -> Pair:
        return output_size(size, self.kernel_size, self.stride, self.padding, self.dilation)


def _axis(kernel: int, padding: int, dilation: int) -> Axis:
    """Return the terms y[q] = sum over taps i of z_i[q + i dilation - padding], with z_i = w_i x."""
    return Axis(1, kernel, tuple(Term(0, tap, tap * dilation - padding, 1) for tap in range(kernel)))
