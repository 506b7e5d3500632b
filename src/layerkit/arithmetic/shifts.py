"""Multiply first, shift afterwards: convolutions whose output is not smaller than their input.

With a kernel K[k] (O, C) for each product, z[k] = K[k] x, all products are one matrix product with the input as it lies
in memory; nothing is copied or padded. The sums of :mod:`layerkit.arithmetic.sums` follow. The kernels are the taps of
the weight, or linear combinations of them, K = mixing taps. Backward, the transpose of the sums comes first; from its
result two matrix products give the gradients.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from layerkit.arithmetic.bands import Band, bands, whole
from layerkit.arithmetic.division import division_on
from layerkit.arithmetic.passes import Move, Pass
from layerkit.arithmetic.products import Rows, in_both_directions, multiply, multiply_and_add
from layerkit.arithmetic.sums import Sums
from layerkit.arithmetic.way import KernelLayer, Way
from layerkit.arithmetic.windows import PLANAR_BELOW, Pair, channels_first, channels_last


class ShiftedProducts(Way):
    """Multiplies the input by the kernels of all products, and adds up the shifted products.

    Args:
        layer: the convolution.
        sums: the sums that make the output from the products.
        mixing: the matrices (products, taps), down and across, that compute the kernels from the taps of the weight;
            None where the kernels are the taps.
    """

    memory_order = (2, 3, 0, 1)

    def __init__(self, layer: KernelLayer, sums: Sums, mixing: tuple[Rows, Rows] | None = None) -> None:
        super().__init__(layer)
        self.sums, self._mixing = sums, mixing
        # With few output channels the products are computed and shifted as planes, because runs of a few channels are
        # slow.
        self._planar = layer.out_channels < PLANAR_BELOW

    def plan_forward(self, x: Tensor, size: Pair) -> Pass[Tensor]:
        layer = self.layer
        mixing = None if self._mixing is None else in_both_directions(*self._mixing, layer.weight)
        kernels, moves = self._plan_kernels(mixing)
        pixels = channels_last(x)
        if not pixels.is_contiguous():
            copy = layer.empty("rows", pixels.shape, x)
            moves.append(partial(copy.copy_, pixels))
            pixels = copy
        y = self._pictures(len(x), size, x)
        for band in self._bands(x.shape, size[0], division_on(x.device).band_numbers):
            moves += self._plan_band(band, pixels, kernels, y, x)
        return Pass(moves, y, (_rows(pixels), kernels) if mixing is None else (_rows(pixels), kernels, mixing))

    def _plan_kernels(self, mixing: Tensor | None) -> tuple[Tensor, list[Move]]:
        """Return the kernels of all products, (products * O, C), and the moves that compute them."""
        layer = self.layer
        taps = layer.in_memory(layer.weight)
        if mixing is None:
            return taps.view(-1, layer.in_channels), []
        kernels = layer.empty("kernels", (len(mixing), layer.out_channels * layer.in_channels), taps)
        mix = partial(torch.mm, mixing, taps.view(-1, kernels.shape[1]), out=kernels)
        return kernels.view(-1, layer.in_channels), [mix]

    def _plan_weight_grad(self, n: int, rows: Tensor, grad_products: Tensor, mixing: Tensor | None) -> list[Move]:
        """Return the moves that add the gradient of the weight to ``weight_grad``.

        Args:
            n: the number of pictures.
            rows: the pixels of x, (N * H * W, C).
            grad_products: the gradient of the products, (products * O, N * H * W). Multiplied by the pixels it gives
                the gradient of the kernels.
            mixing: the matrix (products, taps), in both directions, that computed the kernels from the taps.
        """
        layer = self.layer
        taps = layer.in_memory(layer.weight_grad)
        if mixing is None:
            return multiply_and_add(n, grad_products, rows, taps.view(-1, layer.in_channels), layer.scratch)
        grad = layer.scratch("grad_kernels", (len(grad_products), layer.in_channels), rows)
        products = multiply_and_add(n, grad_products, rows, grad, layer.scratch)
        by_product, by_tap = (tensor.view(-1, layer.out_channels * layer.in_channels) for tensor in (grad, taps))
        return [grad.zero_, *products, partial(by_tap.addmm_, mixing.t(), by_product)]

    def _bands(self, shape: torch.Size, height: int, most: int) -> list[Band]:
        """Return the bands of an output of this height, in units of one row for each phase."""
        n, units = shape[0], -(-height // self.sums.down.phases)
        if self.layer.training:
            return whole(n, units)
        columns = self.sums.across.products * self.layer.out_channels * shape[3]
        return bands(n, units, columns * (self.sums.down.products * shape[2] + height), most)

    def _plan_band(self, band: Band, pixels: Tensor, kernels: Tensor, y: Tensor, x: Tensor) -> list[Move]:
        """Return the moves that compute a band of y, all of whose products come from the same few rows of x."""
        phases, offsets = self.sums.down.phases, [term.offset for term in self.sums.down.terms]
        first, stop = 0, x.shape[2]
        if band.pictures.stop - band.pictures.start == 1:  # a part of several pictures would not be contiguous
            first = min(max(0, band.first + min(offsets)), stop - 1)
            stop = max(first + 1, min(stop, band.stop + max(offsets)))
        pixels, y = pixels[band.pictures, first:stop], y[band.pictures, :, phases * band.first : phases * band.stop]
        size = stop - first, x.shape[3]
        products = self._products(len(y), size, x)
        moves = [multiply(len(y), _rows(pixels), kernels.t(), products.t() if self._planar else products)]
        by_product, memory = self._by_product(products, len(y), size), partial(self._halfway, like=x)
        return moves + self.sums.combine(by_product, channels_last(y), memory, self.layer.bias, band.first - first)

    def plan_backward(self, grad_output: Tensor, kept: tuple[Tensor, ...], shape: torch.Size) -> Pass[Tensor | None]:
        layer, (rows, kernels, *mixing) = self.layer, kept
        n, channels, height, width = shape
        products = self._products(n, (height, width), grad_output)
        moves: list[Move] = []
        if layer.bias is not None:
            moves.append(lambda: layer.bias_grad.add_(grad_output.sum((0, 2, 3))))
        by_product, memory = self._by_product(products, n, (height, width)), partial(self._halfway, like=grad_output)
        moves += self.sums.combine_transposed(channels_last(grad_output), by_product, memory)
        by_row = products.t() if self._planar else products
        moves += self._plan_weight_grad(n, rows, by_row.t(), mixing[0] if mixing else None)
        if not layer.needs_input_grad:
            return Pass(moves, None)
        grad_input = layer.empty("grad_input", rows.shape, grad_output)
        moves.append(multiply(n, by_row, kernels, grad_input))
        return Pass(moves, channels_first(grad_input.view(n, height, width, channels)))

    def _products(self, n: int, size: Pair, like: Tensor) -> Tensor:
        rows, columns = n * size[0] * size[1], self.sums.down.products * self.sums.across.products
        columns *= self.layer.out_channels
        return self.layer.scratch("products", (columns, rows) if self._planar else (rows, columns), like)

    def _by_product(self, products: Tensor, n: int, size: Pair) -> Tensor:
        """Return the products as (N, H, W, products down, products across, O)."""
        numbers = self.sums.down.products, self.sums.across.products, self.layer.out_channels
        if self._planar:
            return products.view(*numbers, n, *size).permute(3, 4, 5, 0, 1, 2)
        return products.view(n, *size, *numbers)

    def _halfway(self, shape: tuple[int, ...], like: Tensor) -> Tensor:
        """Return memory (N, H, W, products, O) for sums in one direction."""
        if self._planar:
            *pictures, products, channels = shape
            return self.layer.scratch("halfway", (products, channels, *pictures), like).permute(2, 3, 4, 0, 1)
        return self.layer.scratch("halfway", shape, like)

    def _pictures(self, n: int, size: Pair, like: Tensor) -> Tensor:
        channels = self.layer.out_channels
        if self._planar:
            return self.layer.empty("y", (n, channels, *size), like)
        return channels_first(self.layer.empty("y", (n, *size, channels), like))


def _rows(pixels: Tensor) -> Tensor:
    """Return pictures (N, H, W, C) as a matrix (N * H * W, C) with one pixel per row."""
    return pixels.view(len(pixels) * pixels.shape[1] * pixels.shape[2], pixels.shape[3])
