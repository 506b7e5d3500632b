"""The sums of :mod:`layerkit.arithmetic.sums` in one pass over memory, by compiled code.

One operation of torch reads and writes whole pictures for every term, and most of its time goes into that. ``_sums.c``
keeps a row of sums downwards in the nearest cache until the sums across are made of it. It is compiled when layerkit is
installed, where there is a C compiler; without it, and for tensors it is not made for, the plain way is taken.
"""

from __future__ import annotations

import os
from array import array
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from layerkit.arithmetic.axes import Axis, Move

try:
    from layerkit.arithmetic.backends import _sums
except ImportError:
    _sums = None

AVAILABLE = _sums is not None and os.environ.get("LAYERKIT_PLAIN_SUMS", "0") in ("", "0")
"""Whether there is compiled code, and it is not switched off by the environment variable ``LAYERKIT_PLAIN_SUMS=1``."""

NUMBERS_A_THREAD = 2**14
"""So many numbers of the target are worth a thread's while."""

NUMBERS_HALFWAY = 2**22
"""Numbers that a row of sums downwards may have: more would not stay in a cache, nor should every thread hold them."""

ROWS, COLUMNS = 1, 2


def _suit(*tensors: Tensor) -> bool:
    """Return whether the compiled code is there and made for such tensors."""
    return AVAILABLE and all(
        tensor.device.type == "cpu"
        and tensor.dtype is tensors[0].dtype
        and tensor.dtype in (torch.float32, torch.float64)
        for tensor in tensors
    )


def combine(down: Axis, across: Axis, z: Tensor, y: Tensor, bias: Tensor | None, first: int) -> list[Move] | None:
    """See :meth:`layerkit.arithmetic.sums.Sums.combine`; None where the plain way must be taken."""
    if not _suit(y, z):
        return None
    directions = []
    for axis, dim, start in ((down, ROWS, first), (across, COLUMNS, 0)):
        terms = [(phase, kind, offset + start, factor) for phase, kind, offset, factor in axis.terms]
        count = -(-y.shape[dim] // axis.phases)
        directions.append(_Direction(count, _phases(y, dim, axis), _kinds(z, dim, axis), terms))
    return _moves(y, z, directions, bias)


def combine_transposed(down: Axis, across: Axis, y: Tensor, z: Tensor, first: int) -> list[Move] | None:
    """See :meth:`layerkit.arithmetic.sums.Sums.combine_transposed`; None where the plain way must be taken."""
    if not _suit(y, z):
        return None
    directions = []
    for axis, dim, start in ((down, ROWS, first), (across, COLUMNS, 0)):
        terms = [(kind, phase, start - offset, factor) for phase, kind, offset, factor in axis.terms]
        directions.append(_Direction(z.shape[dim], _kinds(z, dim, axis), _phases(y, dim, axis), terms))
    return _moves(z, y, directions, None)


Side = tuple[int, int, int, int, int]
"""Slots, step, step between slots, multiple, size: see ``_sums.c``."""


class _Direction(NamedTuple):
    """Base positions of the target, where slots of target and source lie, and (target's, source's, shift, factor)."""

    count: int
    target: Side
    source: Side
    terms: list[tuple[int, int, int, float]]

    def numbers(self) -> list[int]:
        terms = [number for term in self.terms for number in term[:3]]
        return [self.count, *self.target, *self.source, len(self.terms), *terms]


def _phases(y: Tensor, dim: int, axis: Axis) -> Side:
    return axis.phases, axis.phases * y.stride(dim), y.stride(dim), axis.phases, y.shape[dim]


def _kinds(z: Tensor, dim: int, axis: Axis) -> Side:
    return axis.kinds, z.stride(dim), z.stride(dim + 2), 0, z.shape[dim]


def _moves(target: Tensor, source: Tensor, directions: list[_Direction], bias: Tensor | None) -> list[Move] | None:
    """Return the one operation that does it, or none where there is nothing to do; None where rows are too long."""
    if not target.numel():
        return []
    channels = target.shape[-1]
    # Numbers that lie together are summed together: channels, or else a picture's columns.
    together = target.stride(-1) == 1 and source.stride(-1) == 1 and channels > 1
    groups, lanes = (1, channels) if together else (channels, 1)
    shifts = [shift for _, _, shift, _ in directions[1].terms]
    margin = max(0, -min(shifts, default=0))
    width = margin + directions[1].count + max(0, *shifts, 0)
    if (directions[1].source[0] * width + directions[1].count) * lanes > NUMBERS_HALFWAY:
        return None
    strides = target.stride(0), target.stride(-1), source.stride(0), source.stride(-1)
    directions = [direction._replace(terms=sorted(direction.terms)) for direction in directions]
    plan = array("q", [len(target), groups, lanes, *strides, width, margin])
    factors = array("d")
    for direction in directions:
        plan.extend(direction.numbers())
        factors.extend(factor for *_, factor in direction.terms)
    return [partial(_add_up, target, source, bias, plan, factors)]


def _add_up(target: Tensor, source: Tensor, bias: Tensor | None, plan: array, factors: array) -> None:
    threads = max(1, min(torch.get_num_threads(), target.numel() // NUMBERS_A_THREAD))
    start = 0 if bias is None else bias.data_ptr()
    double = target.dtype is torch.float64
    _sums.add_up(double, target.data_ptr(), source.data_ptr(), start, threads, plan, factors)
