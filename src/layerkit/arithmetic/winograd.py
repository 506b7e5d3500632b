"""Winograd's short convolution: a 3 x 3 kernel with stride 1 in fewer multiplications.

Along one direction, m neighbouring outputs of a kernel w of three taps depend on m + 2 inputs d. They need m + 2
multiplications instead of 3 m: those of the values of polynomials at m + 2 points (Winograd 1980, "Arithmetic
complexity of computations"; Lavin and Gray 2016, "Fast algorithms for convolutional neural networks",
section 4). With m = 2,

    v = (d_2 - d_0,  d_1 + d_2,            d_2 - d_1,            d_3 - d_1)
    u = (-w_0,       (w_0 + w_1 + w_2)/2,  (w_0 - w_1 + w_2)/2,  w_2)
    z = u v,      y_0 = z_0 + z_1 + z_2,      y_1 = z_1 - z_2 + z_3,

and m = 4 has six points. In two directions there are (m + 2)^2 products for m^2 outputs in place of 9 m^2, and with
channels each is a matrix product over all tiles of m x m outputs. All other steps are sums of shifted pictures, as in
:mod:`layerkit.arithmetic.sums`: output row m q + r is a sum over the points of tile q, and a point is a sum over the
input rows m q + i - padding, with zeros outside the picture.

Backward, every step is transposed: the gradient of y gives that of z, which gives those of u and v by matrix products,
and the gradient of v gives that of x.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from layerkit.arithmetic.axes import Axis, Term
from layerkit.arithmetic.bands import Band, bands, whole
from layerkit.arithmetic.division import division_on
from layerkit.arithmetic.passes import Allocate, Move, Pass
from layerkit.arithmetic.products import Rows, in_both_directions
from layerkit.arithmetic.sums import Sums
from layerkit.arithmetic.way import KernelLayer, Way
from layerkit.arithmetic.windows import Pair, channels_first, channels_last, picture_size

KERNEL = (3, 3)
FEW_ROWS = 48
"""The fixed cost of a matrix product, as the number of rows that take equally long."""


class Scheme(NamedTuple):
    """The matrices that compute ``outputs`` neighbouring outputs from ``outputs + 2`` inputs and three taps.

    Attributes:
        inputs: computes v from d, one row for each point.
        taps: computes u from w, one row for each point.
        sums: computes y from z, one row for each output.
    """

    outputs: int
    inputs: Rows
    taps: Rows
    sums: Rows

    @property
    def points(self) -> int:
        return self.outputs + 2

    def tiles(self, size: Pair) -> Pair:
        """Return the rows and columns of tiles that an output of ``size`` is cut into."""
        return -(-size[0] // self.outputs), -(-size[1] // self.outputs)

    def costs(self, n: int, size: Pair) -> int:
        """Return an estimate of the work for ``n`` outputs of ``size``, to compare schemes."""
        rows, columns = self.tiles(size)
        return self.points**2 * (n * rows * columns + FEW_ROWS)

    def to_points(self, like: Tensor) -> Tensor:
        """Return the matrix (points^2, 9) that computes u from a kernel's nine taps."""
        return in_both_directions(self.taps, self.taps, like)

    def output_axis(self) -> Axis:
        """Return the terms that compute y from z."""
        terms = [
            Term(r, point, 0, factor) for r, row in enumerate(self.sums) for point, factor in enumerate(row) if factor
        ]
        return Axis(self.outputs, self.points, tuple(terms))

    def input_axis(self, padding: int) -> Axis:
        """Return the terms whose transpose computes v from x: input i of tile q is row m q + i - padding."""
        terms: list[Term] = []
        for point, factors in enumerate(self.inputs):
            for number, factor in enumerate(factors):
                row, phase = divmod(number - padding, self.outputs)
                if factor:
                    terms.append(Term(phase, point, -row, factor))
        return Axis(self.outputs, self.points, tuple(terms))


def _scheme(points: tuple[float, ...], scales: tuple[float, ...]) -> Scheme:
    """Return the scheme of polynomials at ``points`` and at infinity.

    The sums of a point may be multiplied by a scale if its taps are divided by it. Rounding errors are smaller when the
    factors of every output are near 1.
    """
    outputs = len(points) - 1
    inputs, taps, columns = [], [], []
    for point, scale in zip(points, scales, strict=True):
        others = [other for other in points if other != point]
        inputs.append((*_coefficients(others), 0.0))
        taps.append(tuple(point**tap / math.prod(point - other for other in others) / scale for tap in range(3)))
        columns.append([scale * point**output for output in range(outputs)])
    inputs.append(_coefficients(points))
    taps.append((0.0, 0.0, 1.0))
    columns.append([0.0] * (outputs - 1) + [1.0])
    return Scheme(outputs, tuple(inputs), tuple(taps), tuple(zip(*columns, strict=True)))


def _coefficients(roots: Sequence[float]) -> tuple[float, ...]:
    """Return the coefficients of the product of all (x - root), constant first."""
    coefficients = [1.0]
    for root in roots:
        shifted = [0.0, *coefficients]
        coefficients = [high - root * low for high, low in zip(shifted, [*coefficients, 0.0], strict=True)]
    return tuple(coefficients)


# Lavin and Gray take 0, 1, -1, 2, -2 for four outputs; with the points below rounding errors are five times smaller.
SCHEMES = (
    _scheme((0.0, 1.0, -1.0), (1.0, 1.0, 1.0)),
    _scheme((0.0, 0.75, -0.75, 1.5, -1.5), (1.0, 4 / 3, 4 / 3, 4 / 9, 4 / 9)),
)


class Winograd(Way):
    """Computes the values of input and kernel at the scheme's points, multiplies them, and transforms the result back.

    Args:
        layer: the convolution, with a 3 x 3 kernel and stride 1.
        padding: the padding of the layer, (vertical, horizontal).
    """

    memory_order = (2, 3, 0, 1)

    def __init__(self, layer: KernelLayer, padding: Pair) -> None:
        super().__init__(layer)
        self._variants = [_variant(scheme, padding) for scheme in SCHEMES]

    def _variant(self, n: int, size: Pair) -> _Variant:
        """Return the variant that is cheapest for ``n`` outputs of ``size``."""
        return min(self._variants, key=lambda variant: variant.scheme.costs(n, size))

    def plan_forward(self, x: Tensor, size: Pair) -> Pass[Tensor]:
        layer, variant = self.layer, self._variant(len(x), size)
        taps, to_points = self._taps(layer.weight), variant.scheme.to_points(x)
        kernels = layer.empty("kernels", (len(to_points), layer.out_channels, layer.in_channels), x)
        y = layer.empty("y", (len(x), *size, layer.out_channels), x)
        moves: list[Move] = [partial(torch.mm, to_points, taps, out=kernels.view(len(to_points), -1))]
        kept: tuple[Tensor, ...] = ()
        for band in self._bands(variant.scheme, len(x), size, division_on(x.device).band_numbers):
            more, inputs = self._plan_band(band, variant, x, kernels, y)
            moves += more
            kept = inputs, kernels, to_points
        return Pass(moves, channels_first(y), kept)

    def _bands(self, scheme: Scheme, n: int, size: Pair, most: int) -> list[Band]:
        """Return the bands of an output, in rows of tiles."""
        rows, columns = scheme.tiles(size)
        if self.layer.training:  # the values of the whole input are kept for backward
            return whole(n, rows)
        return bands(
            n, rows, scheme.points**2 * rows * columns * (self.layer.in_channels + self.layer.out_channels), most
        )

    def _plan_band(
        self, band: Band, variant: _Variant, x: Tensor, kernels: Tensor, y: Tensor
    ) -> tuple[list[Move], Tensor]:
        """Return the moves that compute a band of y, and the memory for its v."""
        layer, scheme = self.layer, variant.scheme
        x, y = x[band.pictures], y[band.pictures, scheme.outputs * band.first : scheme.outputs * band.stop]
        shape = _shape(scheme, len(x), (y.shape[1], y.shape[2]))
        inputs = Tiles(layer.empty if layer.training else layer.scratch, "v", shape, layer.in_channels, x)
        products = Tiles(layer.scratch, "products", shape, layer.out_channels, x)
        memory = partial(layer.scratch, "halfway", like=x)
        moves = variant.inputs.combine_transposed(channels_last(x), inputs.by_point, memory, band.first)
        moves.append(inputs.clear_spare)
        moves.append(partial(torch.bmm, inputs.matrices, kernels.transpose(1, 2), out=products.matrices))
        return moves + variant.sums.combine(products.by_point, y, memory, layer.bias), inputs.matrices

    def plan_backward(self, grad_output: Tensor, kept: tuple[Tensor, ...], shape: torch.Size) -> Pass[Tensor | None]:
        layer, (inputs, kernels, to_points) = self.layer, kept
        n, channels, height, width = shape
        size = picture_size(grad_output)
        variant = self._variant(n, size)
        tiles = _shape(variant.scheme, n, size)
        grad_products = Tiles(layer.scratch, "products", tiles, layer.out_channels, grad_output)
        grad_kernels = layer.scratch("grad_kernels", kernels.shape, grad_output)
        grad_taps = self._taps(layer.weight_grad)
        memory = partial(layer.scratch, "halfway", like=grad_output)
        moves: list[Move] = []
        if layer.bias is not None:
            moves.append(lambda: layer.bias_grad.add_(grad_output.sum((0, 2, 3))))
        moves += variant.sums.combine_transposed(channels_last(grad_output), grad_products.by_point, memory)
        moves.append(grad_products.clear_spare)
        moves.append(partial(torch.bmm, grad_products.matrices.transpose(1, 2), inputs, out=grad_kernels))
        moves.append(partial(grad_taps.addmm_, to_points.t(), grad_kernels.view(len(to_points), -1)))
        if not layer.needs_input_grad:
            return Pass(moves, None)
        grad_inputs = Tiles(layer.scratch, "grad_v", tiles, channels, grad_output)
        grad_x = layer.empty("grad_input", (n, height, width, channels), grad_output)
        moves.append(partial(torch.bmm, grad_products.matrices, kernels, out=grad_inputs.matrices))
        moves += variant.inputs.combine(grad_inputs.by_point, grad_x, memory)
        return Pass(moves, channels_first(grad_x))

    def _taps(self, weight: Tensor) -> Tensor:
        return self.layer.in_memory(weight).view(9, self.layer.out_channels * self.layer.in_channels)


def _shape(scheme: Scheme, n: int, size: Pair) -> tuple[int, ...]:
    """Return (points, points, N, rows, columns) of tiles."""
    return scheme.points, scheme.points, n, *scheme.tiles(size)


class Tiles:
    """Memory with a number for each point, tile and channel.

    If each point's matrix filled a whole number of memory pages, equal positions of all matrices would compete for the
    same few places in the cache. So each matrix has one spare row, of zeros.

    Attributes:
        matrices: (points^2, N * rows * columns + 1, C).
        by_point: the same without the spare rows, as pictures (N, rows, columns, points down, points across, C).
    """

    def __init__(self, allocate: Allocate, name: str, shape: tuple[int, ...], channels: int, like: Tensor) -> None:
        points, count = shape[:2], math.prod(shape[2:])
        self.matrices = allocate(name, (math.prod(points), count + 1, channels), like)
        self.by_point = self.matrices[:, :count].view(*shape, channels).permute(2, 3, 4, 0, 1, 5)

    def clear_spare(self) -> None:
        """Set the spare rows to zero."""
        self.matrices[:, -1].zero_()


class _Variant(NamedTuple):
    """A scheme and its sums: those from z to y, and those whose transpose computes v from x."""

    scheme: Scheme
    sums: Sums
    inputs: Sums


def _variant(scheme: Scheme, padding: Pair) -> _Variant:
    axis = scheme.output_axis()
    return _Variant(scheme, Sums(axis, axis), Sums(*map(scheme.input_axis, padding)))
