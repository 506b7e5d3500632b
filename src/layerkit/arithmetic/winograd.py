"""Winograd's short convolution: a 3 x 3 kernel with stride 1 in fewer multiplications.

Along one direction, m neighbouring outputs of a kernel w of three taps see m + 2 inputs d, and need not 3 m
multiplications but m + 2, those of polynomials at m + 2 points (Winograd 1980, "Arithmetic complexity of computations";
Lavin and Gray 2016, "Fast algorithms for convolutional neural networks", section 4). With m = 2,

    v = (d_2 - d_0,  d_1 + d_2,            d_2 - d_1,            d_3 - d_1)
    u = (-w_0,       (w_0 + w_1 + w_2)/2,  (w_0 - w_1 + w_2)/2,  w_2)
    z = u v by kind,      y_0 = z_0 + z_1 + z_2,      y_1 = z_1 - z_2 + z_3,

and m = 4 has six kinds. In two directions these are (m + 2)^2 products for m^2 outputs in place of 9 m^2, and with
channels each is a matrix product over all such squares. Everything else is sums of shifted pictures, as in
:mod:`layerkit.arithmetic.sums`: output row m q + r from the kinds at q, and the kinds at q from the input rows
m q + i - padding, zeros outside the picture.

Backwards, every step is transposed: z's gradient from y's, from that u's and v's by products, and x's from v's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import NamedTuple

import torch
from torch import Tensor

from layerkit.arithmetic.axes import Axis, Move, Term
from layerkit.arithmetic.bands import Band, bands, whole
from layerkit.arithmetic.sums import Sums
from layerkit.arithmetic.windows import Pair, channels_first, channels_last
from layerkit.contracts.module import Module

KERNEL = (3, 3)
FEW_ROWS = 48
"""Rows of a matrix product that take as long as everything about it that does not grow with its rows."""

Rows = tuple[tuple[float, ...], ...]


class Scheme(NamedTuple):
    """How ``outputs`` neighbouring outputs come from two inputs more than that and a kernel of three taps.

    Attributes:
        inputs: v from d, a row for each kind.
        taps: u from w, a row for each kind.
        sums: y from z, a row for each output.
    """

    outputs: int
    inputs: Rows
    taps: Rows
    sums: Rows

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

    def input_axis(self, padding: int) -> Axis:
        """Return the terms whose transpose makes v of x: input i of square q lies in row m q + i - padding."""
        terms = []
        for kind, factors in enumerate(self.inputs):
            for number, factor in enumerate(factors):
                row, phase = divmod(number - padding, self.outputs)
                if factor:
                    terms.append(Term(phase, kind, -row, factor))
        return Axis(self.outputs, self.kinds, tuple(terms))


def _scheme(points: tuple[float, ...], scales: tuple[float, ...]) -> Scheme:
    """Return the scheme of polynomials at ``points`` and at infinity.

    Each kind's sums may be multiplied by a scale if its taps are divided by it. Factors near 1 in every output round
    better.
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


# Lavin and Gray take 0, 1, -1, 2, -2 for four outputs; between these points rounding errors are five times smaller.
SCHEMES = (
    _scheme((0.0, 1.0, -1.0), (1.0, 1.0, 1.0)),
    _scheme((0.0, 0.75, -0.75, 1.5, -1.5), (1.0, 4 / 3, 4 / 3, 4 / 9, 4 / 9)),
)


class Winograd:
    """The work of a convolution with a 3 x 3 kernel and stride 1, in the memory that its layer is given.

    Args:
        layer: whose ``empty``, ``scratch``, ``save`` and ``plan`` are used; its weight lies as (kh, kw, O, C).
        in_channels, out_channels, padding: of the layer.
    """

    memory_order = (2, 3, 0, 1)

    def __init__(self, layer: Module, in_channels: int, out_channels: int, padding: Pair) -> None:
        self.layer = layer
        self.in_channels, self.out_channels = in_channels, out_channels
        self._ways = [_way(scheme, padding) for scheme in SCHEMES]

    def forward(self, x: Tensor, size: Pair) -> Tensor:
        """Return (N, O, *size) for x (N, C, H, W)."""
        layer = self.layer
        work = layer.carry_out(
            "forward" if layer.training else "evaluation", (x, *layer.parameters()), lambda: self._plan_forward(x, size)
        )
        # The tensors stand by themselves as well, so that a change of them is noticed.
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
        shape = self._shape(way.scheme, len(x), tuple(y.shape[1:3]))
        inputs = Squares(layer.empty if layer.training else layer.scratch, "v", shape, self.in_channels, x)
        products = Squares(layer.scratch, "products", shape, self.out_channels, x)
        memory = partial(layer.scratch, "halfway", like=x)
        moves = way.inputs.combine_transposed(channels_last(x), inputs.by_kind, memory, band.first)
        moves.append(inputs.clear_spare)
        moves.append(partial(torch.bmm, inputs.matrices, kernels.transpose(1, 2), out=products.matrices))
        return moves + way.sums.combine(products.by_kind, y, memory, layer.bias), inputs.matrices

    def backward(self, grad_output: Tensor) -> Tensor | None:
        """Add to the layer's gradients; return (N, C, H, W), or None if nobody needs it."""
        layer = self.layer
        before, inputs, kernels, shape = layer.saved()
        name = "backward" if layer.needs_input_grad else "backward without input"
        tensors = grad_output, inputs, kernels, *layer.gradients()
        return layer.carry_out(name, tensors, lambda: self._plan_backward(grad_output, before, shape)).result

    def _plan_backward(self, grad_output: Tensor, before: _Work, shape: torch.Size) -> _Work:
        layer, (_, _, way, inputs, kernels) = self.layer, before
        n, channels, height, width = shape
        squares = self._shape(way.scheme, n, tuple(grad_output.shape[2:]))
        grad_products = Squares(layer.scratch, "products", squares, self.out_channels, grad_output)
        grad_kernels = layer.scratch("grad_kernels", kernels.shape, grad_output)
        grad_taps, to_kinds = self._taps(layer.weight_grad), _to_kinds(way.scheme, kernels.dtype, kernels.device)
        memory = partial(layer.scratch, "halfway", like=grad_output)
        moves: list[Move] = []
        if layer.bias is not None:
            moves.append(lambda: layer.bias_grad.add_(grad_output.sum((0, 2, 3))))
        moves += way.sums.combine_transposed(channels_last(grad_output), grad_products.by_kind, memory)
        moves.append(grad_products.clear_spare)
        moves.append(partial(torch.bmm, grad_products.matrices.transpose(1, 2), inputs, out=grad_kernels))
        moves.append(partial(grad_taps.addmm_, to_kinds.t(), grad_kernels.view(len(to_kinds), -1)))
        if not layer.needs_input_grad:
            return _Work(moves, None, way, inputs, kernels)
        grad_inputs = Squares(layer.scratch, "grad_v", squares, channels, grad_output)
        grad_x = layer.empty("grad_input", (n, height, width, channels), grad_output)
        moves.append(partial(torch.bmm, grad_products.matrices, kernels, out=grad_inputs.matrices))
        moves += way.inputs.combine(grad_inputs.by_kind, grad_x, memory)
        return _Work(moves, channels_first(grad_x), way, inputs, kernels)

    def _taps(self, weight: Tensor) -> Tensor:
        return weight.permute(2, 3, 0, 1).view(9, self.out_channels * self.in_channels)

    def _shape(self, scheme: Scheme, n: int, size: Pair) -> tuple[int, ...]:
        """Return (kinds, kinds, N, rows, columns) of squares."""
        return scheme.kinds, scheme.kinds, n, *scheme.squares(size)


class Squares:
    """Memory with a number for each kind, square and channel.

    Matrices of a whole number of memory pages would all be kept in the same few places of the cache, and drive each
    other out of it where one number of each is wanted. So each has a row to spare, of zeros.

    Attributes:
        matrices: (kinds^2, N * rows * columns + 1, C).
        by_kind: the same without the spare rows, as pictures (N, rows, columns, kinds down, kinds across, C).
    """

    def __init__(
        self, memory: Callable[..., Tensor], name: str, shape: tuple[int, ...], channels: int, like: Tensor
    ) -> None:
        kinds, count = shape[:2], math.prod(shape[2:])
        self.matrices = memory(name, (math.prod(kinds), count + 1, channels), like)
        self.by_kind = self.matrices[:, :count].view(*shape, channels).permute(2, 3, 4, 0, 1, 5)

    def clear_spare(self) -> None:
        self.matrices[:, -1].zero_()


class _Work(NamedTuple):
    """What one pass does on memory that is settled, what it returns, and what it keeps."""

    moves: list[Move]
    result: Tensor | None
    way: _Way
    inputs: Tensor
    kernels: Tensor


class _Way(NamedTuple):
    """A scheme and its sums: from z to y, and those whose transpose makes v of x."""

    scheme: Scheme
    sums: Sums
    inputs: Sums


def _way(scheme: Scheme, padding: Pair) -> _Way:
    axis = scheme.output_axis()
    return _Way(scheme, Sums(axis, axis), Sums(*map(scheme.input_axis, padding)))


@lru_cache(maxsize=16)
def _to_kinds(scheme: Scheme, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return the matrix (kinds^2, 9) that makes u of a kernel's nine taps."""
    one = torch.tensor(scheme.taps, dtype=dtype, device=device)
    return torch.kron(one, one)
