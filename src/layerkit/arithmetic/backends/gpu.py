"""The sums of :mod:`layerkit.arithmetic.sums` in one pass over a GPU's memory, by kernels in Triton (``_kernels.py``).

Triton comes with torch where there is CUDA. Its interpreter, with TRITON_INTERPRET=1, runs the same kernels on the
processor, slowly, which the tests do.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from functools import partial
from importlib.util import find_spec

import torch
from torch import Tensor

from layerkit.arithmetic.axes import Axis
from layerkit.arithmetic.backends.directions import Direction, combining, transposed
from layerkit.arithmetic.constants import constant
from layerkit.arithmetic.passes import Memory, Move

INSTALLED = find_spec("triton") is not None
DTYPES = (torch.float32, torch.float64, torch.bfloat16)
NUMBERS = 512
"""How many numbers of each slot a program computes: more would not fit into the registers of its threads."""
MOST_LANES = 64
"""The most channels of them; the others are places."""
MOST_LOADS = 256
"""The most numbers that are loaded for one; with more, which no usual layer has, the kernel takes long to compile."""


def device() -> str:
    """Return the type of the device whose tensors are supported: CUDA, or the processor where Triton interprets."""
    return "cpu" if _interpreted() else "cuda"


def _interpreted() -> bool:
    return os.environ.get("TRITON_INTERPRET", "0") == "1"


def unavailable() -> str:
    """Return what is missing here for tensors on a GPU; ``""`` if nothing is, or if there is no GPU."""
    missing = torch.cuda.is_available() and not INSTALLED
    return "the sums on a GPU in one pass, which need the package triton" if missing else ""


def suits(down: Axis, across: Axis, z: Tensor, y: Tensor) -> bool:
    """Return whether the tensors are on a GPU, Triton is installed, and the sums have few enough terms."""
    return (
        y.device.type == z.device.type == device()
        and y.dtype is z.dtype
        and y.dtype in DTYPES
        and max(loads(down, across)) <= MOST_LOADS
        and INSTALLED
    )


def loads(down: Axis, across: Axis) -> tuple[int, int]:
    """Return how many numbers the sums, and their transpose, load for one place at most."""
    forwards = _most(term.phase for term in down.terms) * len({term[1:3] for term in across.terms})
    backwards = _most(term.product for term in down.terms) * len({(term[0], term[2]) for term in across.terms})
    return forwards, backwards


def combine(
    down: Axis, across: Axis, z: Tensor, y: Tensor, memory: Memory, bias: Tensor | None, first: int
) -> list[Move]:
    """Return the one operation that sets ``y`` to the sums of ``z``; none where ``y`` is empty."""
    return _moves(y, z, combining(down, across, z, y, first), bias)


def combine_transposed(down: Axis, across: Axis, y: Tensor, z: Tensor, memory: Memory, first: int) -> list[Move]:
    """Return the one operation of the transpose of :func:`combine`; none where ``z`` is empty."""
    return _moves(z, y, transposed(down, across, y, z, first), None)


def _most(slots: Iterable[int]) -> int:
    """Return how many terms the slot with the most terms has."""
    return max(Counter(slots).values(), default=0)


def _moves(target: Tensor, source: Tensor, directions: list[Direction], bias: Tensor | None) -> list[Move]:
    if not target.numel():
        return []
    from layerkit.arithmetic.backends import _kernels

    down, across = directions
    channels = target.shape[-1]
    # Channels that do not lie side by side are left to different programs, whose places do.
    together = target.stride(-1) == source.stride(-1) == 1
    lanes = min(MOST_LANES, _power_of_2(channels)) if together else 1
    places = NUMBERS // lanes
    slots = min(_kernels.MOST_SLOTS, _power_of_2(across.target.slots))
    groups = -(-across.target.slots // slots)
    double = target.dtype is torch.float64
    numbers, factors = _tables(down, across, groups * slots)
    terms = _most(term.target for term in down.terms)
    pairs = len(_pairs(across))
    positions = len(target) * down.places * across.places
    grid = (-(-positions // places) * down.target.slots * groups, -(-channels // lanes))
    arguments = (
        target,
        source,
        target if bias is None else bias,
        constant(tuple(numbers), torch.int64, target.device),
        constant(tuple(factors), torch.float64 if double else torch.float32, target.device),
        *(positions, down.places, across.places, channels),
        *(target.stride(0), down.target.step, down.target.slot_step),
        *(across.target.step, across.target.slot_step, target.stride(-1)),
        *(source.stride(0), down.source.step, across.source.step, source.stride(-1)),
        *(groups, down.target.slots, groups * slots),
        *(terms, pairs, slots, bias is not None, double, places, lanes),
    )
    return [partial(_kernels.sum_shifted[grid], *arguments)]


def _pairs(across: Direction) -> list[tuple[int, int]]:
    """Return the pairs of a slot and a shift of the source that the terms name, each once."""
    return sorted({(term.source, term.shift) for term in across.terms})


def _tables(down: Direction, across: Direction, column_slots: int) -> tuple[list[int], list[float]]:
    """Return the numbers and the factors that the kernel reads, where they are described.

    Args:
        column_slots: how many slots across there are, with those that fill up the last group.
    """
    numbers: list[int] = []
    factors: list[float] = []
    most = _most(term.target for term in down.terms)
    for slot in range(down.target.slots):
        own = [term for term in down.terms if term.target == slot]
        numbers.append(down.target.places(slot))
        for term in own:
            numbers += [term.source * down.source.slot_step, term.shift, down.source.places(term.source)]
        numbers += [0] * (3 * (most - len(own)))
        factors += [*(term.factor for term in own), *[0.0] * (most - len(own))]
    slots = range(column_slots)
    numbers += [across.target.places(slot) if slot < across.target.slots else 0 for slot in slots]
    for source, shift in _pairs(across):
        numbers += [source * across.source.slot_step, shift, across.source.places(source)]
        factors += [sum(term.factor for term in across.terms if term[:3] == (slot, source, shift)) for slot in slots]
    return numbers, factors


def _power_of_2(number: int) -> int:
    """Return the smallest power of two that is not below ``number``."""
    return 1 << max(0, number - 1).bit_length()
