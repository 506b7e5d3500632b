"""The sums of :mod:`layerkit.arithmetic.sums` in one pass over memory, by compiled code.

With operations of torch, every term reads and writes whole pictures, which takes most of the time. ``_sums.c`` keeps a
row of sums downwards in the nearest cache until the sums across are computed from it. It is compiled when layerkit is
installed, if there is a C compiler.
"""

from __future__ import annotations

import os
from array import array
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from layerkit.arithmetic.axes import Axis
from layerkit.arithmetic.passes import Memory, Move

try:
    from layerkit.arithmetic.backends._sums import add_up
except ImportError:  # there was no C compiler, or this processor lacks AVX2
    COMPILED = False
else:
    COMPILED = True

SWITCHED_OFF = os.environ.get("LAYERKIT_PLAIN_SUMS", "0") not in ("", "0")

DEVICE = "cpu"

NUMBERS_A_THREAD = 2**14
"""How many numbers of the target are worth one more thread."""

NUMBERS_HALFWAY = 2**22
"""How many numbers a row of sums downwards may have: more would not stay in the cache of each thread."""

ROWS, COLUMNS = 1, 2


def unavailable() -> str:
    """Return that the compiled code is missing, or was switched off when layerkit was loaded; ``""`` otherwise."""
    if not COMPILED:
        return "the compiled sums, which need a C compiler when layerkit is installed"
    return "the compiled sums, which LAYERKIT_PLAIN_SUMS switches off" if SWITCHED_OFF else ""


def suits(down: Axis, across: Axis, z: Tensor, y: Tensor) -> bool:
    """Return whether the compiled code is available and supports the device, dtype and row length of the tensors."""
    return (
        y.device.type == z.device.type == DEVICE
        and y.dtype is z.dtype
        and y.dtype in (torch.float32, torch.float64)
        and _row_numbers(across, z, y) <= NUMBERS_HALFWAY
        and not unavailable()
    )


def combine(
    down: Axis, across: Axis, z: Tensor, y: Tensor, memory: Memory, bias: Tensor | None, first: int
) -> list[Move]:
    """Return the one operation that sets ``y`` to the sums of ``z``; none where ``y`` is empty."""
    directions = []
    for axis, dim, start in ((down, ROWS, first), (across, COLUMNS, 0)):
        terms = [(phase, product, offset + start, factor) for phase, product, offset, factor in axis.terms]
        places = -(-y.shape[dim] // axis.phases)
        directions.append(_Direction(places, _phases(y, dim, axis), _products(z, dim, axis), terms))
    return _moves(y, z, directions, bias)


def combine_transposed(down: Axis, across: Axis, y: Tensor, z: Tensor, memory: Memory, first: int) -> list[Move]:
    """Return the one operation of the transpose of :func:`combine`; none where ``z`` is empty."""
    directions = []
    for axis, dim, start in ((down, ROWS, first), (across, COLUMNS, 0)):
        terms = [(product, phase, start - offset, factor) for phase, product, offset, factor in axis.terms]
        directions.append(_Direction(z.shape[dim], _products(z, dim, axis), _phases(y, dim, axis), terms))
    return _moves(z, y, directions, None)


Side = tuple[int, int, int, int, int]
"""Slots, step, step between slots, multiple, size: see ``_sums.c``."""


class _Direction(NamedTuple):
    """The places of the target, the slots of target and source, and terms (target slot, source slot, shift, factor)."""

    places: int
    target: Side
    source: Side
    terms: list[tuple[int, int, int, float]]

    def numbers(self) -> list[int]:
        terms = [number for term in self.terms for number in term[:3]]
        return [self.places, *self.target, *self.source, len(self.terms), *terms]


def _phases(y: Tensor, dim: int, axis: Axis) -> Side:
    return axis.phases, axis.phases * y.stride(dim), y.stride(dim), axis.phases, y.shape[dim]


def _products(z: Tensor, dim: int, axis: Axis) -> Side:
    return axis.products, z.stride(dim), z.stride(dim + 2), 0, z.shape[dim]


def _lanes(y: Tensor, z: Tensor) -> int:
    """Return how many adjacent numbers are summed together: all channels, or else a single number."""
    return y.shape[-1] if y.stride(-1) == z.stride(-1) == 1 else 1


def _row_numbers(across: Axis, z: Tensor, y: Tensor) -> int:
    """Return the most numbers that a row of sums downwards and a row of sums across need, also when transposed."""
    reach = max((abs(term.offset) for term in across.terms), default=0)
    places = max(-(-y.shape[COLUMNS] // across.phases), z.shape[COLUMNS])
    return (max(across.phases, across.products) * (places + 2 * reach) + places) * _lanes(y, z)


def _moves(target: Tensor, source: Tensor, directions: list[_Direction], bias: Tensor | None) -> list[Move]:
    if not target.numel():
        return []
    lanes = _lanes(target, source)
    shifts = [shift for _, _, shift, _ in directions[1].terms]
    margin = max(0, -min(shifts, default=0))
    width = margin + directions[1].places + max(0, *shifts, 0)
    strides = target.stride(0), target.stride(-1), source.stride(0), source.stride(-1)
    directions = [direction._replace(terms=sorted(direction.terms)) for direction in directions]
    plan = array("q", [len(target), target.shape[-1] // lanes, lanes, *strides, width, margin])
    factors = array("d")
    for direction in directions:
        plan.extend(direction.numbers())
        factors.extend(factor for *_, factor in direction.terms)
    return [partial(_add_up, target, source, bias, plan, factors)]


def _add_up(target: Tensor, source: Tensor, bias: Tensor | None, plan: array[int], factors: array[float]) -> None:
    threads = max(1, min(torch.get_num_threads(), target.numel() // NUMBERS_A_THREAD))
    start = 0 if bias is None else bias.data_ptr()
    double = target.dtype is torch.float64
    add_up(double, target.data_ptr(), source.data_ptr(), start, threads, plan, factors)
