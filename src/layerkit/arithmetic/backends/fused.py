"""The sums of :mod:`layerkit.arithmetic.sums` in one pass over memory, by compiled code.

With operations of torch, every term reads and writes whole pictures, which takes most of the time. ``_sums.c`` keeps a
row of sums downwards in the nearest cache until the sums across are computed from it. It is compiled when layerkit is
installed, if there is a C compiler.
"""

from __future__ import annotations

import os
from array import array
from functools import partial

import torch
from torch import Tensor

from layerkit.arithmetic.axes import Axis
from layerkit.arithmetic.backends.directions import COLUMNS, Direction, combining, transposed
from layerkit.arithmetic.passes import Memory, Move

try:
    from layerkit.arithmetic.backends._sums import add_up
except ImportError:  # there was no C compiler, or this processor lacks AVX2
    COMPILED = False
else:
    COMPILED = True

SWITCHED_OFF = os.environ.get("LAYERKIT_PLAIN_SUMS", "0") not in ("", "0")

NUMBERS_A_THREAD = 2**14
"""How many numbers of the target are worth one more thread."""

NUMBERS_HALFWAY = 2**22
"""How many numbers a row of sums downwards may have: more would not stay in the cache of each thread."""


def device() -> str:
    """Return the type of a device whose tensors are supported: the processor."""
    return "cpu"


def unavailable() -> str:
    """Return that the compiled code is missing, or was switched off when layerkit was loaded; ``""`` otherwise."""
    if not COMPILED:
        return "the compiled sums, which need a C compiler when layerkit is installed"
    return "the compiled sums, which LAYERKIT_PLAIN_SUMS switches off" if SWITCHED_OFF else ""


def suits(down: Axis, across: Axis, z: Tensor, y: Tensor) -> bool:
    """Return whether the compiled code is available and supports the device, dtype and row length of the tensors."""
    return (
        y.device.type == z.device.type == device()
        and y.dtype is z.dtype
        and y.dtype in (torch.float32, torch.float64)
        and _row_numbers(across, z, y) <= NUMBERS_HALFWAY
        and not unavailable()
    )


def combine(
    down: Axis, across: Axis, z: Tensor, y: Tensor, memory: Memory, bias: Tensor | None, first: int
) -> list[Move]:
    """Return the one operation that sets ``y`` to the sums of ``z``; none where ``y`` is empty."""
    return _moves(y, z, combining(down, across, z, y, first), bias)


def combine_transposed(down: Axis, across: Axis, y: Tensor, z: Tensor, memory: Memory, first: int) -> list[Move]:
    """Return the one operation of the transpose of :func:`combine`; none where ``z`` is empty."""
    return _moves(z, y, transposed(down, across, y, z, first), None)


def _numbers(direction: Direction) -> list[int]:
    """Return a direction as ``_sums.c`` reads it."""
    terms = [number for term in direction.terms for number in term[:3]]
    return [direction.places, *direction.target, *direction.source, len(direction.terms), *terms]


def _lanes(y: Tensor, z: Tensor) -> int:
    """Return how many adjacent numbers are summed together: all channels, or else a single number."""
    return y.shape[-1] if y.stride(-1) == z.stride(-1) == 1 else 1


def _row_numbers(across: Axis, z: Tensor, y: Tensor) -> int:
    """Return the most numbers that a row of sums downwards and a row of sums across need, also when transposed."""
    reach = max((abs(term.offset) for term in across.terms), default=0)
    places = max(-(-y.shape[COLUMNS] // across.phases), z.shape[COLUMNS])
    return (max(across.phases, across.products) * (places + 2 * reach) + places) * _lanes(y, z)


def _moves(target: Tensor, source: Tensor, directions: list[Direction], bias: Tensor | None) -> list[Move]:
    if not target.numel():
        return []
    lanes = _lanes(target, source)
    shifts = [shift for _, _, shift, _ in directions[1].terms]
    margin = max(0, -min(shifts, default=0))
    width = margin + directions[1].places + max(0, *shifts, 0)
    strides = target.stride(0), target.stride(-1), source.stride(0), source.stride(-1)
    plan = array("q", [len(target), target.shape[-1] // lanes, lanes, *strides, width, margin])
    factors = array("d")
    for direction in directions:
        plan.extend(_numbers(direction))
        factors.extend(factor for *_, factor in direction.terms)
    return [partial(_add_up, target, source, bias, plan, factors)]


def _add_up(target: Tensor, source: Tensor, bias: Tensor | None, plan: array[int], factors: array[float]) -> None:
    threads = max(1, min(torch.get_num_threads(), target.numel() // NUMBERS_A_THREAD))
    start = 0 if bias is None else bias.data_ptr()
    double = target.dtype is torch.float64
    add_up(double, target.data_ptr(), source.data_ptr(), start, threads, plan, factors)
