"""Convolution as a matrix product of copied windows ("im2col"), for any kernel, stride, padding and dilation.

With every window of x as a row of a matrix X (N * H_out * W_out, kh * kw * C) and the weight as a matrix
W (O, kh * kw * C), a convolution is one product, y = X W^T + bias. From that product the gradients follow:

    weight_grad += grad_output^T X        bias_grad += column sums of grad_output        grad_X = grad_output W,

and grad_x adds up each value of grad_X at the place in x that it was copied from. The values of all windows at one tap
of the kernel form a picture, so copying and adding back are the sums of :mod:`layerkit.arithmetic.sums`, with these
pictures as the products and all factors 1: along one direction, tap i of window q is row s q + i d - padding of x.
"""

from __future__ import annotations

import math
from functools import partial

import torch
from torch import Tensor

from layerkit.arithmetic.axes import Axis, Term
from layerkit.arithmetic.bands import Band, bands, whole
from layerkit.arithmetic.division import division_on
from layerkit.arithmetic.passes import Allocate, Move, Pass
from layerkit.arithmetic.products import multiply, multiply_and_add
from layerkit.arithmetic.sums import Sums
from layerkit.arithmetic.way import KernelLayer, Way
from layerkit.arithmetic.windows import PLANAR_BELOW, Pair, channels_first, channels_last


class Patches(Way):
    """Copies every window into a row of a matrix, which the weight multiplies.

    Args:
        layer: the convolution.
        stride, padding, dilation: those of the layer, (vertical, horizontal).
    """

    def __init__(self, layer: KernelLayer, stride: Pair, padding: Pair, dilation: Pair) -> None:
        super().__init__(layer)
        self.sums = Sums(*map(_axis, layer.kernel_size, stride, padding, dilation))
        # With a 1 x 1 kernel, stride 1 and no padding the windows are the pixels, and nothing needs to be copied.
        self._pixels = layer.kernel_size == (1, 1) and stride == (1, 1) and padding == (0, 0)
        # Copying short runs of a few channels is slow, and copying along the rows of a picture is fast. So with few
        # channels the windows are copied plane by plane, and the weight has the matching memory order.
        self._planar = layer.in_channels < PLANAR_BELOW
        self.memory_order = (1, 2, 3, 0) if self._planar else (0, 2, 3, 1)

    def plan_forward(self, x: Tensor, size: Pair) -> Pass[Tensor]:
        layer = self.layer
        moves: list[Move] = []
        kept: tuple[Tensor, ...] = ()
        y = layer.empty("y", (len(x), *size, layer.out_channels), x)
        for band in self._bands(len(x), size, division_on(x.device).band_numbers):
            more, patches = self._plan_patches(band, x, size)
            rows = y[band.pictures, band.first : band.stop].view(len(patches), layer.out_channels)
            count = band.pictures.stop - band.pictures.start
            moves += [*more, multiply(count, patches, self._matrix(layer.weight), rows, layer.bias)]
            kept = (patches,)
        return Pass(moves, channels_first(y), kept)

    def _bands(self, n: int, size: Pair, most: int) -> list[Band]:
        if self.layer.training:  # the patches are kept
            return whole(n, size[0])
        return bands(n, size[0], size[0] * size[1] * (self._taps + self.layer.out_channels), most)

    def _plan_patches(self, band: Band, x: Tensor, size: Pair) -> tuple[list[Move], Tensor]:
        """Return the moves that copy the windows of a band, and the matrix of the windows, one per row."""
        layer, x = self.layer, x[band.pictures]
        pixels, shape = channels_last(x), (len(x), band.stop - band.first, size[1])
        if self._pixels:
            pixels = pixels[:, band.first : band.stop]
            if pixels.is_contiguous():
                return [], pixels.view(-1, layer.in_channels)
        by_tap, matrix = self._memory(layer.empty if layer.training else layer.scratch, "patches", shape, x)
        memory = partial(layer.scratch, "halfway", like=x)
        return self.sums.combine_transposed(pixels, by_tap, memory, band.first), matrix

    def plan_backward(self, grad_output: Tensor, kept: tuple[Tensor, ...], shape: torch.Size) -> Pass[Tensor | None]:
        layer, (patches,) = self.layer, kept
        moves: list[Move] = []
        pixels = channels_last(grad_output)
        if not pixels.is_contiguous():
            copy = layer.scratch("grad_rows", pixels.shape, grad_output)
            moves.append(partial(copy.copy_, pixels))
            pixels = copy
        grad = pixels.view(len(patches), layer.out_channels)
        n, channels, height, width = shape
        moves += multiply_and_add(n, patches.t(), grad, self._matrix(layer.weight_grad), layer.scratch)
        if layer.bias is not None:
            moves.append(lambda: layer.bias_grad.add_(grad.sum(0)))
        if not layer.needs_input_grad:
            return Pass(moves, None)
        grad_x = layer.empty("grad_input", (n, height, width, channels), grad)
        by_tap, matrix = self._memory(layer.scratch, "grad_patches", tuple(pixels.shape[:3]), grad)
        moves.append(multiply(n, grad, self._matrix(layer.weight).t(), matrix))
        moves += self.sums.combine(by_tap, grad_x, partial(layer.scratch, "halfway", like=grad))
        return Pass(moves, channels_first(grad_x))

    def _matrix(self, weight: Tensor) -> Tensor:
        """Return the weight, or its gradient, as the view (C * kh * kw or kh * kw * C, O) that multiplies patches."""
        in_memory, channels = self.layer.in_memory(weight), self.layer.out_channels
        return in_memory.view(-1, channels) if self._planar else in_memory.view(channels, -1).t()

    @property
    def _taps(self) -> int:
        return math.prod(self.layer.kernel_size) * self.layer.in_channels

    def _memory(self, allocate: Allocate, name: str, shape: tuple[int, ...], like: Tensor) -> tuple[Tensor, Tensor]:
        """Return memory for patches as (N, H_out, W_out, kh, kw, C), and the same as a matrix, one patch per row."""
        rows, channels, kernel = math.prod(shape), self.layer.in_channels, self.layer.kernel_size
        if self._planar:
            patches = allocate(name, (channels, *kernel, *shape), like)
            return patches.permute(3, 4, 5, 1, 2, 0), patches.view(self._taps, rows).t()
        patches = allocate(name, (*shape, *kernel, channels), like)
        return patches, patches.view(rows, self._taps)


def _axis(kernel: int, stride: int, padding: int, dilation: int) -> Axis:
    """Return the terms whose transpose copies tap i of window q from row s q + i d - padding."""
    places = [divmod(tap * dilation - padding, stride) for tap in range(kernel)]
    return Axis(stride, kernel, tuple(Term(phase, tap, -row, 1) for tap, (row, phase) in enumerate(places)))
