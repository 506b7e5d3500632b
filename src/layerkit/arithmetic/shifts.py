"""Multiply first, shift afterwards: convolutions whose output is not smaller than their input.

With a matrix for each kind, Z[kind] = K[kind] x, all products are one matrix product of the input as it lies in memory,
with nothing copied and nothing padded, and what is left are the sums of :mod:`layerkit.arithmetic.sums`. Backwards, the
transpose of these comes first, and from what it gives the gradients follow by two products.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from layerkit.arithmetic.axes import Axis, Move
from layerkit.arithmetic.bands import Band, bands, whole
from layerkit.arithmetic.products import multiply
from layerkit.arithmetic.sums import Sums
from layerkit.arithmetic.windows import PLANAR_BELOW, channels_first, channels_last
from layerkit.contracts.module import Module


class _Work(NamedTuple):
    """What one pass of a layer does on memory that is settled, what it returns, and what it keeps."""

    moves: list[Move]
    result: Tensor | None
    rows: Tensor
    kernels: Tensor


class ShiftedProducts:
    """The products and the sums of one layer, in the memory that the layer is given.

    Args:
        layer: whose ``empty``, ``save`` and ``plan`` are used; it has ``bias`` and ``bias_grad``.
        down, across: the terms.
        in_channels, out_channels: of the layer.
        kernels: gives the kernels of all kinds, (kinds down * kinds across * O, C), and what computes them.
        add_kernels_grad: gives what adds to the layer's ``weight_grad`` what comes through the kernels, from N, the
            pixels of x, (N * H * W, C), and the gradient of the products, (kinds * O, N * H * W): that of the kernels
            is the latter times the former.
    """

    memory_order = (2, 3, 0, 1)

    def __init__(
        self,
        layer: Module,
        down: Axis,
        across: Axis,
        in_channels: int,
        out_channels: int,
        kernels: Callable[[], tuple[Tensor, list[Move]]],
        add_kernels_grad: Callable[[int, Tensor, Tensor], list[Move]],
    ) -> None:
        self.layer, self.sums = layer, Sums(down, across)
        self.kernels, self.add_kernels_grad = kernels, add_kernels_grad
        self.in_channels, self.out_channels = in_channels, out_channels
        # With few output channels the products are made, and shifted, as planes: runs of few channels crawl.
        self._planar = out_channels < PLANAR_BELOW

    def forward(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        """Return (N, O, *size) for x (N, C, H, W)."""
        layer = self.layer
        name = "forward" if layer.training else "evaluation"
        work = layer.carry_out(name, (x, *layer.parameters()), lambda: self._plan_forward(x, size))
        layer.save(work.rows, work.kernels, x.shape)
        return work.result

    def _plan_forward(self, x: Tensor, size: tuple[int, int]) -> _Work:
        layer = self.layer
        kernels, moves = self.kernels()
        pixels = channels_last(x)
        if not pixels.is_contiguous():
            copy = layer.empty("rows", pixels.shape, x)
            moves.append(partial(copy.copy_, pixels))
            pixels = copy
        rows = pixels.view(-1, self.in_channels) if len(x) else pixels.reshape(0, self.in_channels)
        y = self._pictures(len(x), size, x)
        for band in self._bands(x.shape, size[0]):
            moves += self._plan_band(band, pixels, kernels, y, x)
        return _Work(moves, y, rows, kernels)

    def _bands(self, shape: torch.Size, height: int) -> list[Band]:
        """Return the bands of an output of this height, in units of as many rows as there are phases."""
        n, units = shape[0], -(-height // self.sums.down.phases)
        if self.layer.training:
            return whole(n, units)
        columns = self.sums.across.kinds * self.out_channels * shape[3]
        return bands(n, units, columns * (self.sums.down.kinds * shape[2] + height))

    def _plan_band(self, band: Band, pixels: Tensor, kernels: Tensor, y: Tensor, x: Tensor) -> list[Move]:
        """Return what computes a band of y, all of whose kinds come from the same few rows of x."""
        phases, offsets = self.sums.down.phases, [term.offset for term in self.sums.down.terms]
        first, stop = 0, x.shape[2]
        if band.pictures.stop - band.pictures.start == 1:  # only whole pictures lie in memory without gaps
            first = min(max(0, band.first + min(offsets)), stop - 1)
            stop = max(first + 1, min(stop, band.stop + max(offsets)))
        pixels, y = pixels[band.pictures, first:stop], y[band.pictures, :, phases * band.first : phases * band.stop]
        shape = torch.Size((len(y), self.in_channels, stop - first, x.shape[3]))
        rows = pixels.view(-1, self.in_channels) if len(y) else pixels.reshape(0, self.in_channels)
        products = self._products(shape, x)
        moves = [multiply(len(y), rows, kernels.t(), products.t() if self._planar else products)]
        by_kind, memory = self._by_kind(products, shape), partial(self._halfway, like=x)
        return moves + self.sums.combine(by_kind, channels_last(y), memory, self.layer.bias, band.first - first)

    def backward(self, grad_output: Tensor) -> Tensor | None:
        """Add to the layer's gradients and return that of x, (N, C, H, W), or None if nobody needs it."""
        layer = self.layer
        rows, kernels, shape = layer.saved()
        name = "backward" if layer.needs_input_grad else "backward without input"
        tensors = grad_output, rows, kernels, *layer.gradients()
        return layer.carry_out(name, tensors, lambda: self._plan_backward(grad_output, rows, kernels, shape)).result

    def _plan_backward(self, grad_output: Tensor, rows: Tensor, kernels: Tensor, shape: torch.Size) -> _Work:
        layer = self.layer
        n, channels, height, width = shape
        products = self._products(shape, grad_output)
        moves: list[Move] = []
        if layer.bias is not None:
            moves.append(lambda: layer.bias_grad.add_(grad_output.sum((0, 2, 3))))
        by_kind, memory = self._by_kind(products, shape), partial(self._halfway, like=grad_output)
        moves += self.sums.combine_transposed(channels_last(grad_output), by_kind, memory)
        by_row = products.t() if self._planar else products
        moves += self.add_kernels_grad(n, rows, by_row.t())
        if not layer.needs_input_grad:
            return _Work(moves, None, rows, kernels)
        grad_input = layer.empty("grad_input", rows.shape, grad_output)
        moves.append(multiply(n, by_row, kernels, grad_input))
        return _Work(moves, channels_first(grad_input.view(n, height, width, channels)), rows, kernels)

    def _products(self, shape: torch.Size, like: Tensor) -> Tensor:
        kinds = self.sums.down.kinds * self.sums.across.kinds
        rows, columns = shape[0] * shape[2] * shape[3], kinds * self.out_channels
        return self.layer.scratch("products", (columns, rows) if self._planar else (rows, columns), like)

    def _by_kind(self, products: Tensor, shape: torch.Size) -> Tensor:
        """Return the products as (N, H, W, kinds down, kinds across, O)."""
        kinds = self.sums.down.kinds, self.sums.across.kinds, self.out_channels
        if self._planar:
            return products.view(*kinds, shape[0], *shape[2:]).permute(3, 4, 5, 0, 1, 2)
        return products.view(shape[0], *shape[2:], *kinds)

    def _halfway(self, shape: tuple[int, ...], like: Tensor) -> Tensor:
        """Return memory (N, H, W, kinds, O) for sums in one direction."""
        if self._planar:
            *pictures, kinds, channels = shape
            return self.layer.scratch("halfway", (kinds, channels, *pictures), like).permute(2, 3, 4, 0, 1)
        return self.layer.scratch("halfway", shape, like)

    def _pictures(self, n: int, size: tuple[int, int], like: Tensor) -> Tensor:
        if self._planar:
            return self.layer.empty("y", (n, self.out_channels, *size), like)
        return channels_first(self.layer.empty("y", (n, *size, self.out_channels), like))
