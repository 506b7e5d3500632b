"""Sums of shifted pictures as loops over numbers, for backends that compute them in one pass over memory.

Along one direction the *target* of the sums has *places*, and at each place a number of *slots*; so has their *source*:

    target[slot][place] = sum of  factor * source[slot'][place + shift]     over the terms (slot, slot', shift, factor),

where a place outside the source counts as zeros. The slots of pictures are their phases, and those of products are the
products. So the sums and their transpose are the same loops, with the sides exchanged.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from layerkit.arithmetic.axes import Axis

ROWS, COLUMNS = 1, 2
"""The dimensions of (N, H, W, ...)."""


class Side(NamedTuple):
    """Where the numbers of a target, or of a source, lie along one direction.

    Attributes:
        slots: how many slots there are.
        step: from a place to the next, in numbers of memory.
        slot_step: from a slot to the next.
        multiple: how many rows of a picture a place stands for, in which place q is row ``multiple`` q + slot; 0 where
            each slot has rows of its own.
        size: the number of rows.
    """

    slots: int
    step: int
    slot_step: int
    multiple: int
    size: int

    def places(self, slot: int) -> int:
        """Return how many places a slot has."""
        return (self.size - slot + self.multiple - 1) // self.multiple if self.multiple else self.size


class Entry(NamedTuple):
    """One term: it adds ``factor`` times a place of the source to that place, less ``shift``, of the target."""

    target: int
    source: int
    shift: int
    factor: float


class Direction(NamedTuple):
    """The places of the target, both sides, and the terms in the order of the target's slots."""

    places: int
    target: Side
    source: Side
    terms: list[Entry]


def combining(down: Axis, across: Axis, z: Tensor, y: Tensor, first: int) -> list[Direction]:
    """Return down and across for sums of ``z`` into ``y``; see :class:`layerkit.arithmetic.sums.Sums`."""
    directions = []
    for axis, dim, start in ((down, ROWS, first), (across, COLUMNS, 0)):
        terms = [Entry(phase, product, offset + start, factor) for phase, product, offset, factor in axis.terms]
        places = -(-y.shape[dim] // axis.phases)
        directions.append(Direction(places, _phases(y, dim, axis), _products(z, dim, axis), sorted(terms)))
    return directions


def transposed(down: Axis, across: Axis, y: Tensor, z: Tensor, first: int) -> list[Direction]:
    """Return down and across for the transpose: sums of ``y`` into ``z``."""
    directions = []
    for axis, dim, start in ((down, ROWS, first), (across, COLUMNS, 0)):
        terms = [Entry(product, phase, start - offset, factor) for phase, product, offset, factor in axis.terms]
        directions.append(Direction(z.shape[dim], _products(z, dim, axis), _phases(y, dim, axis), sorted(terms)))
    return directions


def _phases(y: Tensor, dim: int, axis: Axis) -> Side:
    return Side(axis.phases, axis.phases * y.stride(dim), y.stride(dim), axis.phases, y.shape[dim])


def _products(z: Tensor, dim: int, axis: Axis) -> Side:
    return Side(axis.products, z.stride(dim), z.stride(dim + 2), 0, z.shape[dim])
