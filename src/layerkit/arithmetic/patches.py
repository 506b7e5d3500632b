"""Windows first, one product afterwards: a convolution of any kernel, stride, padding and dilation.

With every window of x as a row of a matrix X (N * H_out * W_out, kh * kw * C) and the weight as a matrix
W (O, kh * kw * C) it is one product, y = X W^T + bias. From that product the gradients follow:

    weight_grad += grad_output^T X        bias_grad += column sums of grad_output        grad_X = grad_output W,

and grad_x adds each value of grad_X where its window took it from. The windows' values at one tap of the kernel are a
picture, so both ways are those of :mod:`layerkit.arithmetic.sums`, with a kind for each tap and factors 1: along one
direction tap i of window q is row s q + i d - padding of x.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from layerkit.arithmetic.axes import Axis, Move, Term
from layerkit.arithmetic.bands import Band, bands, whole
from layerkit.arithmetic.products import multiply, multiply_and_add
from layerkit.arithmetic.sums import Sums
from layerkit.arithmetic.windows import PLANAR_BELOW, Pair, channels_first, channels_last
from layerkit.contracts.module import Module


class Patches:
    """The work of a convolution, in the memory that its layer is given.

    Args:
        layer: whose ``empty``, ``scratch``, ``save`` and ``plan`` are used.
        in_channels, out_channels, kernel_size, stride, padding, dilation: of the layer.

    Attributes:
        memory_order: of the dimensions (O, C, kh, kw) of the weight, which lies as it multiplies the patches.
    """

    def __init__(
        self,
        layer: Module,
        in_channels: int,
        out_channels: int,
        kernel_size: Pair,
        stride: Pair,
        padding: Pair,
        dilation: Pair,
    ) -> None:
        self.layer = layer
        self.in_channels, self.out_channels, self.kernel_size = in_channels, out_channels, kernel_size
        self.sums = Sums(*map(_axis, kernel_size, stride, padding, dilation))
        # A window of one pixel is the pixel, if none is left out.
        self._pixels = kernel_size == (1, 1) and stride == (1, 1) and padding == (0, 0)
        # A copy whose inner runs are few channels crawls; along the picture's rows it runs. So with few channels the
        # windows are copied plane by plane, and the weight lies in memory to match.
        self._planar = in_channels < PLANAR_BELOW
        self.memory_order = (1, 2, 3, 0) if self._planar else (0, 2, 3, 1)

    def forward(self, x: Tensor, size: Pair) -> Tensor:
        """Return (N, O, *size) for x (N, C, H, W)."""
        layer = self.layer
        name = "forward" if layer.training else "evaluation"
        work = layer.carry_out(name, (x, *layer.parameters()), lambda: self._plan_forward(x, size))
        layer.save(work.patches, x.shape)
        return work.result

    def _plan_forward(self, x: Tensor, size: Pair) -> _Work:
        layer, moves, patches = self.layer, [], None
        y = layer.empty("y", (len(x), *size, self.out_channels), x)
        for band in self._bands(len(x), size):
            more, patches = self._plan_patches(band, x, size)
            rows = y[band.pictures, band.first : band.stop].view(len(patches), self.out_channels)
            count = band.pictures.stop - band.pictures.start
            moves += [*more, multiply(count, patches, self._matrix(layer.weight), rows, layer.bias)]
        return _Work(moves, channels_first(y), patches)

    def _bands(self, n: int, size: Pair) -> list[Band]:
        if self.layer.training:  # the patches are kept
            return whole(n, size[0])
        return bands(n, size[0], size[0] * size[1] * (self._taps + self.out_channels))

    def _plan_patches(self, band: Band, x: Tensor, size: Pair) -> tuple[list[Move], Tensor]:
        """Return what copies the windows of a band, and the matrix of them, a window a row."""
        x = x[band.pictures]
        pixels, shape = channels_last(x), (len(x), band.stop - band.first, size[1])
        if self._pixels:
            pixels = pixels[:, band.first : band.stop]
            if pixels.is_contiguous():
                return [], pixels.view(-1, self.in_channels)
        layer = self.layer
        by_tap, matrix = self._memory(layer.empty if layer.training else layer.scratch, "patches", shape, x)
        memory = partial(layer.scratch, "halfway", like=x)
        return self.sums.combine_transposed(pixels, by_tap, memory, band.first), matrix

    def backward(self, grad_output: Tensor) -> Tensor | None:
        """Add to the layer's gradients; return (N, C, H, W), or None if nobody needs it."""
        layer = self.layer
        patches, shape = layer.saved()
        name = "backward" if layer.needs_input_grad else "backward without input"
        tensors = grad_output, patches, *layer.gradients(), layer.weight
        return layer.carry_out(name, tensors, lambda: self._plan_backward(grad_output, patches, shape)).result

    def _plan_backward(self, grad_output: Tensor, patches: Tensor, shape: torch.Size) -> _Work:
        layer, moves = self.layer, []
        pixels = channels_last(grad_output)
        if not pixels.is_contiguous():
            copy = layer.scratch("grad_rows", pixels.shape, grad_output)
            moves.append(partial(copy.copy_, pixels))
            pixels = copy
        grad = pixels.view(len(patches), self.out_channels)
        n, channels, height, width = shape
        moves += multiply_and_add(n, patches.t(), grad, self._matrix(layer.weight_grad), layer.scratch)
        if layer.bias is not None:
            moves.append(lambda: layer.bias_grad.add_(grad.sum(0)))
        if not layer.needs_input_grad:
            return _Work(moves, None, patches)
        grad_x = layer.empty("grad_input", (n, height, width, channels), grad)
        by_tap, matrix = self._memory(layer.scratch, "grad_patches", tuple(pixels.shape[:3]), grad)
        moves.append(multiply(n, grad, self._matrix(layer.weight).t(), matrix))
        moves += self.sums.combine(by_tap, grad_x, partial(layer.scratch, "halfway", like=grad))
        return _Work(moves, channels_first(grad_x), patches)

    def _matrix(self, weight: Tensor) -> Tensor:
        """Return the weight, or its gradient, as the view (C * kh * kw or kh * kw * C, O) that multiplies patches."""
        in_memory = weight.permute(self.memory_order)
        return in_memory.view(-1, self.out_channels) if self._planar else in_memory.view(self.out_channels, -1).t()

    @property
    def _taps(self) -> int:
        return self.kernel_size[0] * self.kernel_size[1] * self.in_channels

    def _memory(
        self, memory: Callable[..., Tensor], name: str, shape: tuple[int, ...], like: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return memory for patches as (N, H_out, W_out, kh, kw, C) and, the same, as a matrix with a patch a row."""
        rows = math.prod(shape)
        if self._planar:
            patches = memory(name, (self.in_channels, *self.kernel_size, *shape), like)
            return patches.permute(3, 4, 5, 1, 2, 0), patches.view(self._taps, rows).t()
        patches = memory(name, (*shape, *self.kernel_size, self.in_channels), like)
        return patches, patches.view(rows, self._taps)


class _Work(NamedTuple):
    """What one pass does on memory that is settled, what it returns, and the patches."""

    moves: list[Move]
    result: Tensor | None
    patches: Tensor


def _axis(kernel: int, stride: int, padding: int, dilation: int) -> Axis:
    """Return the terms whose transpose takes tap i of window q from row s q + i d - padding."""
    places = [divmod(tap * dilation - padding, stride) for tap in range(kernel)]
    return Axis(stride, kernel, tuple(Term(phase, tap, -row, 1) for tap, (row, phase) in enumerate(places)))
