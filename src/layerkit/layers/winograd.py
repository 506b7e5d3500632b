"""Winograd's short convolution: a 3 x 3 kernel with stride 1 in fewer multiplications.

Along one direction, m neighbouring outputs of a kernel w of three taps see m + 2 inputs d, and need not 3 m
multiplications but m + 2, those of polynomials at m + 2 points (Winograd 1980, "Arithmetic complexity of computations";
Lavin and Gray 2016, "Fast algorithms for convolutional neural networks", section 4). With m = 2,

    v = (d_2 - d_0,  d_1 + d_2,            d_2 - d_1,            d_3 - d_1)
    u = (-w_0,       (w_0 + w_1 + w_2)/2,  (w_0 - w_1 + w_2)/2,  w_2)
    z = u v by kind,      y_0 = z_0 + z_1 + z_2,      y_1 = z_1 - z_2 + z_3,

and m = 4 has six kinds. In two directions these are (m + 2)^2 products for m^2 outputs in place of 9 m^2, and with
channels each is a matrix product over all such squares. Everything else is sums of shifted pictures, as in
:mod:`layerkit.layers.shifts`: output row m q + r from the kinds at q, and the kinds at q from the input rows
m q + i - padding, zeros outside the picture.

Two points p and -p share most of that. With e the even powers' part of v at p and o the odd powers' over p, v is
e + p o at p and e - p o at -p, and y needs z at both only as their sum (even rows) and their difference (odd rows). So
with four outputs the sums are those of e and o, or of sum and difference, and *pairs* of kinds are mixed besides.

Backwards, every step is transposed: z's gradient from y's, from that u's and v's by products, and x's from v's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache, partial
from typing import NamedTuple

import torch
from torch import Tensor

from layerkit.layers.bands import Band, bands, whole
from layerkit.layers.shifts import Axis, Move, Term
from layerkit.layers.windows import Pair, channels_first, channels_last
from layerkit.module import Module

KERNEL = (3, 3)
FEW_ROWS = 48
"""Rows of a matrix product that take as long as everything about it that does not grow with its rows."""

Rows = tuple[tuple[float, ...], ...]


class Scheme(NamedTuple):
    """How ``outputs`` neighbouring outputs come from two inputs more than that and a kernel of three taps.

    Attributes:
        inputs: v from d, a row for each kind; e and o for the kinds of a pair.
        taps: u from w, a row for each kind.
        sums: y from z, a row for each output; from sum and difference for the kinds of a pair.
        pairs: (kind at p, kind at -p, p).
    """

    outputs: int
    inputs: Rows
    taps: Rows
    sums: Rows
    pairs: tuple[tuple[int, int, float], ...]

    @property
    def kinds(self) -> int:
        return self.outputs + 2

    def squares(self, size: Pair) -> Pair:
        """Return the rows and columns of squares that an output of ``size`` is cut into."""
        return -(-size[0] // self.outputs), -(-size[1] // self.outputs)

    def costs(self, n: int, size: Pair) -> int:
        """Return about how much work ``n`` outputs of ``size`` are, to compare schemes."""
        rows, columns = self.squares(size)
        return self.kinds**2 * (n * rows * columns + FEW_ROWS)

    def output_axis(self) -> Axis:
        """Return the terms that make y of z."""
        terms = [
            Term(r, kind, 0, factor) for r, row in enumerate(self.sums) for kind, factor in enumerate(row) if factor
        ]
        return Axis(self.outputs, self.kinds, tuple(terms))

    def input_axis(self, padding: int, mixed: bool) -> Axis:
        """Return the terms whose transpose makes v of x: input i of square q lies in row m q + i - padding.

        Args:
            mixed: whether p is in the terms, instead of in the mixing of pairs.
        """
        odd = {second: point for _, second, point in self.pairs} if mixed else {}
        terms = []
        for kind, factors in enumerate(self.inputs):
            for number, factor in enumerate(factors):
                row, phase = divmod(number - padding, self.outputs)
                if factor:
                    terms.append(Term(phase, kind, -row, factor * odd.get(kind, 1)))
        return Axis(self.outputs, self.kinds, tuple(terms))

    def mix(self, values: Tensor, weighted: bool = False) -> list[Move]:
        """Return what puts a + b and a - b in the place of each pair (a, b) of kinds; with p b for b if ``weighted``.

        Args:
            values: with the kinds as dimension 3.
        """
        moves: list[Move] = []
        for first, second, point in self.pairs:
            a, b, factor = values.select(3, first), values.select(3, second), point if weighted else 1.0
            moves += [partial(a.add_, b, alpha=factor), partial(torch.sub, a, b, alpha=2 * factor, out=b)]
        return moves


def _scheme(points: tuple[float, ...], scales: tuple[float, ...], pairs: tuple[Pair, ...] = ()) -> Scheme:
    """Return the scheme of polynomials at ``points`` and at infinity.

    Each kind's sums may be multiplied by a scale if its taps are divided by it: one that puts a factor 1 into every
    output saves a pass over memory. ``pairs`` are those of points that are mixed.
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
    for pair in pairs:
        both = tuple(zip(*(inputs[kind] for kind in pair), strict=True))
        inputs[pair[0]] = tuple((a + b) / 2 for a, b in both)
        inputs[pair[1]] = tuple((a - b) / 2 / points[pair[0]] for a, b in both)
        factors = columns[pair[0]]
        for parity, kind in enumerate(pair):
            columns[kind] = [factor if row % 2 == parity else 0.0 for row, factor in enumerate(factors)]
    mixed = tuple((*pair, points[pair[0]]) for pair in pairs)
    return Scheme(outputs, tuple(inputs), tuple(taps), tuple(zip(*columns, strict=True)), mixed)


def _coefficients(roots: Sequence[float]) -> tuple[float, ...]:
    """Return the coefficients of the product of all (x - root), constant first."""
    coefficients = [1.0]
    for root in roots:
        shifted = [0.0, *coefficients]
        coefficients = [high - root * low for high, low in zip(shifted, [*coefficients, 0.0], strict=True)]
    return tuple(coefficients)


# Lavin and Gray take 0, 1, -1, 2, -2 for four outputs; between these points rounding errors are five times smaller.
SCHEMES = (
    _scheme((0.0, 1.0, -1.0), (1.0, 1.0, 1.0)),
    _scheme((0.0, 0.75, -0.75, 1.5, -1.5), (1.0, 4 / 3, 4 / 3, 4 / 9, 4 / 9), ((1, 2), (3, 4))),
)


class Winograd:
    """The work of a convolution with a 3 x 3 kernel and stride 1, in the memory that its layer is given.

    Args:
        layer: whose ``empty``, ``scratch``, ``save`` and ``plan`` are used; its weight lies as (kh, kw, O, C).
        in_channels, out_channels, padding: of the layer.
    """

    def __init__(self, layer: Module, in_channels: int, out_channels: int, padding: Pair) -> None:
        self.layer = layer
        self.in_channels, self.out_channels = in_channels, out_channels
        self._ways = [_way(scheme, padding) for scheme in SCHEMES]

    def forward(self, x: Tensor, size: Pair) -> Tensor:
        """Return (N, O, *size) for x (N, C, H, W)."""
        layer = self.layer
        work = layer.plan(
            "forward" if layer.training else "evaluation", (x, *layer.parameters()), lambda: self._plan_forward(x, size)
        )
        for move in work.moves:
            move()
        layer.save(work, work.inputs, work.kernels, x.shape)
        return work.result

    def _plan_forward(self, x: Tensor, size: Pair) -> _Work:
        layer, way = self.layer, min(self._ways, key=lambda way: way.scheme.costs(len(x), size))
        taps, to_kinds = self._taps(layer.weight), _to_kinds(way.scheme, x.dtype, x.device)
        kernels = layer.empty("kernels", (len(to_kinds), self.out_channels, self.in_channels), x)
        y = layer.empty("y", (len(x), *size, self.out_channels), x)
        moves: list[Move] = [partial(torch.mm, to_kinds, taps, out=kernels.view(len(to_kinds), -1))]
        for band in self._bands(way.scheme, len(x), size):
            more, inputs = self._plan_band(band, way, x, kernels, y)
            moves += more
        return _Work(moves, channels_first(y), way, inputs, kernels)

    def _bands(self, scheme: Scheme, n: int, size: Pair) -> list[Band]:
        """Return the bands of an output, in rows of squares."""
        rows, columns = scheme.squares(size)
        if self.layer.training:  # what was made of the input is kept
            return whole(n, rows)
        return bands(n, rows, scheme.kinds**2 * rows * columns * (self.in_channels + self.out_channels))

    def _plan_band(self, band: Band, way: _Way, x: Tensor, kernels: Tensor, y: Tensor) -> tuple[list[Move], Tensor]:
        """Return what computes a band of y, and the memory for its v."""
        layer, outputs = self.layer, way.scheme.outputs
        x, y = x[band.pictures], y[band.pictures, outputs * band.first : outputs * band.stop]
        size = tuple(y.shape[1:3])
        halfway, shape = self._halfway(way.scheme, len(x), size, x.shape[3], x)
        inputs = layer.empty("v", shape, x) if layer.training else layer.scratch("v", shape, x)
        products, sums = self._outputs(way.scheme, shape, size, x)
        moves = way.down.combine_transposed(channels_last(x), halfway, 1, band.first)
        moves += way.scheme.mix(halfway, weighted=True)
        moves += way.across.combine_transposed(halfway, _by_kind(inputs), 2)
        moves += way.scheme.mix(_by_kind(inputs), weighted=True)
        moves.append(partial(torch.bmm, _matrices(inputs), kernels.transpose(1, 2), out=_matrices(products)))
        by_kind = _by_kind(products).transpose(3, 4)
        moves += way.scheme.mix(by_kind)
        moves += way.sums.combine(by_kind, sums, 1)
        moves += way.scheme.mix(sums)
        moves += way.sums.combine(sums, y, 2)
        if layer.bias is not None:
            moves.append(partial(y.add_, layer.bias))
        return moves, inputs

    def backward(self, grad_output: Tensor) -> Tensor | None:
        """Add to the layer's gradients; return (N, C, H, W), or None if nobody needs it."""
        layer = self.layer
        before, inputs, kernels, shape = layer.saved()
        name = "backward" if layer.needs_input_grad else "backward without input"
        tensors = grad_output, inputs, kernels, *layer.gradients()
        work = layer.plan(name, tensors, lambda: self._plan_backward(grad_output, before, shape))
        for move in work.moves:
            move()
        return work.result

    def _plan_backward(self, grad_output: Tensor, before: _Work, shape: torch.Size) -> _Work:
        layer, (_, _, way, inputs, kernels) = self.layer, before
        n, channels, height, width = shape
        size = tuple(grad_output.shape[2:])
        grad_products, grad_sums = self._outputs(way.scheme, inputs.shape, size, grad_output)
        grad_kernels = layer.scratch("grad_kernels", kernels.shape, grad_output)
        grad_taps, to_kinds = self._taps(layer.weight_grad), _to_kinds(way.scheme, kernels.dtype, kernels.device)
        moves: list[Move] = []
        if layer.bias is not None:
            moves.append(lambda: layer.bias_grad.add_(grad_output.sum((0, 2, 3))))
        by_kind = _by_kind(grad_products).transpose(3, 4)
        moves += way.sums.combine_transposed(channels_last(grad_output), grad_sums, 2)
        moves += way.scheme.mix(grad_sums)
        moves += way.sums.combine_transposed(grad_sums, by_kind, 1)
        moves += way.scheme.mix(by_kind)
        grad_matrices = _matrices(grad_products)
        moves.append(partial(torch.bmm, grad_matrices.transpose(1, 2), _matrices(inputs), out=grad_kernels))
        moves.append(partial(grad_taps.addmm_, to_kinds.t(), grad_kernels.view(len(to_kinds), -1)))
        if not layer.needs_input_grad:
            return _Work(moves, None, way, inputs, kernels)
        halfway, inputs_shape = self._halfway(way.scheme, n, size, width, grad_output)
        grad_inputs = layer.scratch("grad_v", inputs_shape, grad_output)
        grad_x = layer.empty("grad_input", (n, height, width, channels), grad_output)
        moves.append(partial(torch.bmm, grad_matrices, kernels, out=_matrices(grad_inputs)))
        moves += way.scheme.mix(_by_kind(grad_inputs))
        moves += way.across_back.combine(_by_kind(grad_inputs), halfway, 2)
        moves += way.scheme.mix(halfway)
        moves += way.down_back.combine(halfway, grad_x, 1)
        return _Work(moves, channels_first(grad_x), way, inputs, kernels)

    def _taps(self, weight: Tensor) -> Tensor:
        return weight.permute(2, 3, 0, 1).view(9, self.out_channels * self.in_channels)

    def _halfway(self, scheme: Scheme, n: int, size: Pair, width: int, like: Tensor) -> tuple[Tensor, tuple[int, ...]]:
        """Return memory for v halfway, (N, rows, W, kinds, C), and the shape of v, (kinds, kinds, N, ..., C)."""
        rows, columns = scheme.squares(size)
        halfway = self.layer.scratch("halfway", (scheme.kinds, n, rows, width, self.in_channels), like)
        return halfway.permute(1, 2, 3, 0, 4), (scheme.kinds, scheme.kinds, n, rows, columns, self.in_channels)

    def _outputs(self, scheme: Scheme, shape: tuple[int, ...], size: Pair, like: Tensor) -> tuple[Tensor, Tensor]:
        """Return memory for z, (kinds, kinds, N, rows, columns, O), and for y halfway, (N, H, columns, kinds, O)."""
        products = self.layer.scratch("products", (*shape[:-1], self.out_channels), like)
        sums = (scheme.kinds, shape[2], size[0], shape[4], self.out_channels)
        return products, self.layer.scratch("sums", sums, like).permute(1, 2, 3, 0, 4)


class _Work(NamedTuple):
    """What one pass does on memory that is settled, what it returns, and what it keeps."""

    moves: list[Move]
    result: Tensor | None
    way: _Way
    inputs: Tensor
    kernels: Tensor


class _Way(NamedTuple):
    """A scheme and its terms: from z to y, from x to v downwards and across, and back from v's gradient to x's."""

    scheme: Scheme
    sums: Axis
    down: Axis
    across: Axis
    down_back: Axis
    across_back: Axis


def _way(scheme: Scheme, padding: Pair) -> _Way:
    inputs = (scheme.input_axis(its, mixed) for mixed in (False, True) for its in padding)
    return _Way(scheme, scheme.output_axis(), *inputs)


def _by_kind(values: Tensor) -> Tensor:
    """Return (kinds down, kinds across, N, H, W, C) as (N, H, W, kinds across, kinds down, C)."""
    return values.permute(2, 3, 4, 1, 0, 5)


def _matrices(values: Tensor) -> Tensor:
    """Return (kinds, kinds, N, H, W, C) as matrices (kinds^2, N * H * W, C)."""
    kinds, _, n, rows, columns, channels = values.shape
    return values.view(kinds**2, n * rows * columns, channels)


@lru_cache(maxsize=16)
def _to_kinds(scheme: Scheme, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return the matrix (kinds^2, 9) that makes u of a kernel's nine taps."""
    one = torch.tensor(scheme.taps, dtype=dtype, device=device)
    return torch.kron(one, one)
