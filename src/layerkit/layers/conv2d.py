"""Convolution.

Forward, for an input x (N, C, H, W), a weight (O, C, kh, kw) and a bias (O,), equation (1) of the report:

    y[n, o, p, q] = bias[o] + sum over c, i, j of weight[o, c, i, j] * x[n, c, p * stride + i * dilation - padding, ...]

With every window of x as a row of a matrix X (N * H_out * W_out, kh * kw * C) and the weight as a matrix
W (O, kh * kw * C) it is one product, y = X W^T + bias. From that product the gradients follow, equations (2) to (4):

    weight_grad += grad_output^T X        bias_grad += column sums of grad_output
    grad_X = grad_output W, and grad_x adds each value of grad_X where its window took it from.

That is done for every kernel, stride, padding and dilation, but for two cases that can do with less: 3 x 3 kernels with
stride 1 take fewer multiplications (:mod:`layerkit.layers.winograd`), and with stride 1 and few output channels it is
cheaper to multiply first and shift the products (:mod:`layerkit.layers.shifts`) than to copy windows of the input.
"""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar, Literal, NamedTuple

import torch
from pydantic import Field
from torch import Tensor

from layerkit.component import LayerSpec, Shape
from layerkit.fields import Channels, Kernel, Padding, Stride, pair
from layerkit.layers.initialization import xavier_normal_
from layerkit.layers.shifts import Axis, Move, ShiftedProducts, Term
from layerkit.layers.windows import (
    PLANAR_BELOW,
    add_windows,
    channels_first,
    channels_last,
    check_pictures,
    output_size,
    padded,
    picture_shape,
    windows,
)
from layerkit.layers.winograd import KERNEL, Winograd
from layerkit.module import Module


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
        # A copy whose inner runs are few channels crawls; along the picture's rows it runs. So with few channels the
        # windows are copied plane by plane, and the weight lies in memory to match.
        self._planar = in_channels < PLANAR_BELOW
        self._products, self._winograd = None, None
        if self.stride == (1, 1) and not self._planar:
            if out_channels < PLANAR_BELOW:
                axes = map(_taps_axis, self.kernel_size, self.padding, self.dilation)
                self._products = ShiftedProducts(
                    self, *axes, in_channels, out_channels, self._kernels, self._add_kernels_grad
                )
            elif self.kernel_size == KERNEL and self.dilation == (1, 1):
                self._winograd = Winograd(self, in_channels, out_channels, self.padding)
        kh, kw = self.kernel_size
        if self._products or self._winograd:
            weight = torch.empty(kh, kw, out_channels, in_channels, dtype=dtype, device=device).permute(2, 3, 0, 1)
        elif self._planar:
            weight = torch.empty(in_channels, kh, kw, out_channels, dtype=dtype, device=device).permute(3, 0, 1, 2)
        else:
            weight = torch.empty(out_channels, kh, kw, in_channels, dtype=dtype, device=device).permute(0, 3, 1, 2)
        self.add_parameter("weight", xavier_normal_(weight, in_channels * kh * kw, out_channels * kh * kw, generator))
        self.bias = None
        if bias:
            self.add_parameter("bias", weight.new_zeros(out_channels))

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, out_channels, H_out, W_out) for x (N, in_channels, H, W)."""
        check_pictures(x, self.in_channels, "Conv2d")
        n, _, height, width = x.shape
        size = output_size((height, width), self.kernel_size, self.stride, self.padding, self.dilation)
        if self._winograd:
            return self._winograd.forward(x, size)
        if self._products:
            return self._products.forward(x, size)
        patches = self._patches(channels_last(x), size)
        work = self.plan("forward", (patches, *self.parameters()), lambda: self._plan_forward(patches, n, size))
        for move in work.moves:
            move()
        self.save(patches, (height, width))
        return work.result

    def _plan_forward(self, patches: Tensor, n: int, size: tuple[int, int]) -> _Work:
        y = self.empty("y", (n * size[0] * size[1], self.out_channels), patches)
        factors = patches, self._matrix(self.weight)
        # The product accumulates onto the bias: adding it afterwards would round once more.
        product = torch.mm if self.bias is None else partial(torch.addmm, self.bias)
        return _Work([partial(product, *factors, out=y)], channels_first(y.view(n, *size, self.out_channels)))

    def backward(self, grad_output: Tensor) -> Tensor | None:
        """Add to ``weight_grad`` and ``bias_grad``; return (N, in_channels, H, W), or None if nobody needs it."""
        if self._winograd:
            return self._winograd.backward(grad_output)
        if self._products:
            return self._products.backward(grad_output)
        patches, size = self.saved()
        name = "backward" if self.needs_input_grad else "backward without input"
        tensors = grad_output, patches, *self.gradients(), self.weight
        work = self.plan(name, tensors, lambda: self._plan_backward(grad_output, patches, size))
        for move in work.moves:
            move()
        return work.result

    def _plan_backward(self, grad_output: Tensor, patches: Tensor, size: tuple[int, int]) -> _Work:
        n, _, rows, columns = grad_output.shape
        pixels, moves = channels_last(grad_output), []
        if not pixels.is_contiguous():
            copy = self.scratch("grad_rows", pixels.shape, grad_output)
            moves.append(partial(copy.copy_, pixels))
            pixels = copy
        grad = pixels.view(n * rows * columns, self.out_channels)
        moves.append(partial(self._matrix(self.weight_grad).addmm_, patches.t(), grad))
        if self.bias is not None:
            moves.append(lambda: self.bias_grad.add_(grad.sum(0)))
        if not self.needs_input_grad:
            return _Work(moves, None)
        taken, by_row = self._patch_memory("grad_patches", n, (rows, columns), grad)
        (height, width), (top, left) = size, self.padding
        framed = self.empty("grad_input", (n, height + 2 * top, width + 2 * left, self.in_channels), grad)
        moves.append(partial(torch.mm, grad, self._matrix(self.weight).t(), out=by_row))
        moves.append(partial(add_windows, taken, self.stride, framed, self.dilation))
        return _Work(moves, channels_first(framed[:, top : top + height, left : left + width]))

    def _kernels(self) -> tuple[Tensor, list[Move]]:
        """Return a kernel for each tap."""
        return self._by_tap(self.weight), []

    def _add_kernels_grad(self, rows: Tensor, grad_products: Tensor) -> list[Move]:
        return [partial(self._by_tap(self.weight_grad).addmm_, grad_products, rows)]

    def _by_tap(self, weight: Tensor) -> Tensor:
        """Return the weight, or its gradient, as the view (kh * kw * O, C)."""
        return weight.permute(2, 3, 0, 1).view(-1, self.in_channels)

    def _matrix(self, weight: Tensor) -> Tensor:
        """Return the weight, or its gradient, as the view (C * kh * kw or kh * kw * C, O) that multiplies patches."""
        if self._planar:
            return weight.permute(1, 2, 3, 0).view(-1, self.out_channels)
        return weight.permute(0, 2, 3, 1).view(self.out_channels, -1).t()

    def _patches(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        """Return every window of (N, H, W, C) as a row of a matrix (N * H_out * W_out, kh * kw * C)."""
        top, left = self.padding
        if top or left:
            n, height, width, channels = x.shape
            framed = self.empty("framed", (n, height + 2 * top, width + 2 * left, channels), x)
            x = padded(x, (top, top), (left, left), out=framed)
        taken = windows(x, self.kernel_size, self.stride, self.dilation)
        if not self._planar and taken.is_contiguous():
            return taken.view(len(x) * size[0] * size[1], -1) if len(x) else taken.reshape(0, self._taps)
        memory, by_row = self._patch_memory("patches", len(x), size, x)
        memory.copy_(taken)
        return by_row

    @property
    def _taps(self) -> int:
        return self.kernel_size[0] * self.kernel_size[1] * self.in_channels

    def _patch_memory(self, name: str, n: int, size: tuple[int, int], like: Tensor) -> tuple[Tensor, Tensor]:
        """Return memory for patches as (N, H_out, W_out, kh, kw, C) and, the same, as a matrix with a patch a row."""
        rows = n * size[0] * size[1]
        if self._planar:
            memory = self.empty(name, (self.in_channels, *self.kernel_size, n, *size), like)
            return memory.permute(3, 4, 5, 1, 2, 0), memory.view(self._taps, rows).t()
        memory = self.empty(name, (n, *size, *self.kernel_size, self.in_channels), like)
        return memory, memory.view(rows, self._taps)


class _Work(NamedTuple):
    """What one pass does on memory that is settled, and what it returns."""

    moves: list[Move]
    result: Tensor | None


def _taps_axis(kernel: int, padding: int, dilation: int) -> Axis:
    """Return the terms y[q] = sum over taps i of Z_i[q + i dilation - padding], with Z_i = w_i x."""
    return Axis(1, kernel, tuple(Term(0, tap, tap * dilation - padding, 1) for tap in range(kernel)))
