"""Sums of shifted pictures: what is left of a convolution when all its products are made.

Along one direction, an output row s q + r (r is its *phase*) comes from rows near q of several pictures, the *kinds*,

    y[s q + r] = sum of  factor * z[kind][q + offset]      over the terms (phase r, kind, offset, factor).

A row outside the picture counts as zeros. In two directions the kinds are pairs, and the sums are done one direction
after the other, downwards and then across. The transpose of a sum of shifted pictures is a sum of pictures shifted the
other way: the same terms with the roles of y and z exchanged and the offsets negated.

Here is the plain way, an operation over all pictures for each term. :mod:`layerkit.layers.fused_sums` does the same in
one pass over memory, where it can.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from layerkit.layers import fused_sums

Move = Callable[[], Any]
"""One operation on memory that is settled."""

Memory = Callable[[tuple[int, ...]], Tensor]
"""Gives memory for sums in one direction, (N, H, W, kinds, C), in the order in which it is to lie."""


class Term(NamedTuple):
    """One summand: the output's phase, the kind of product, the row it is taken from counted from q, and its factor."""

    phase: int
    kind: int
    offset: int
    factor: float


@dataclass(frozen=True)
class Axis:
    """One direction: the number of phases and of kinds, and the terms."""

    phases: int
    kinds: int
    terms: tuple[Term, ...]


@dataclass(frozen=True)
class Sums:
    """The sums in both directions."""

    down: Axis
    across: Axis

    def combine(self, z: Tensor, y: Tensor, memory: Memory, bias: Tensor | None = None, first: int = 0) -> list[Move]:
        """Return what sets ``y`` (N, H_out, W_out, C) to the sums of ``z`` (N, H, W, kinds down, kinds across, C).

        Args:
            memory: gives what is needed besides.
            bias: (C,), added to every sum.
            first: the row of ``z`` at which ``y`` begins, where it is not all of it.
        """
        if (fused := fused_sums.combine(self, z, y, bias, first)) is not None:
            return fused
        halfway = memory((len(y), y.shape[1], z.shape[2], self.across.kinds, y.shape[3]))
        moves = [*_combine(self.down, z, halfway, 1, first), *_combine(self.across, halfway, y, 2)]
        return [*moves, partial(y.add_, bias)] if bias is not None else moves

    def combine_transposed(self, y: Tensor, z: Tensor, memory: Memory, first: int = 0) -> list[Move]:
        """Return what sets ``z``, from its row ``first`` on, from ``y``: the transpose of :meth:`combine`."""
        if (fused := fused_sums.combine_transposed(self, y, z, first)) is not None:
            return fused
        halfway = memory((len(y), z.shape[1], y.shape[2], self.down.kinds, y.shape[3]))
        moves = _combine_transposed(self.down, y, halfway, 1, first)
        return [*moves, *_combine_transposed(self.across, halfway, z.transpose(3, 4), 2)]


class Work(NamedTuple):
    """What one pass of a layer does on memory that is settled, and what it returns."""

    moves: list[Move]
    result: Tensor


def one_kind(pictures: Tensor) -> Tensor:
    """Return (N, C, H, W) as pictures of one kind, (N, H, W, 1, 1, C): a view."""
    return pictures.permute(0, 2, 3, 1)[:, :, :, None, None]


def _combine(axis: Axis, z: Tensor, y: Tensor, dim: int, first: int = 0) -> list[Move]:
    """Return what sets the rows of ``y``, along ``dim``, to the sums of shifted rows of ``z``, kinds in dimension 3."""
    moves = []
    for phase in range(axis.phases):
        terms = [
            (z.select(3, kind), offset + first, factor) for its, kind, offset, factor in axis.terms if its == phase
        ]
        moves += _sum_shifted(_every(y, dim, phase, axis.phases), dim, terms)
    return moves


def _combine_transposed(axis: Axis, y: Tensor, z: Tensor, dim: int, first: int = 0) -> list[Move]:
    moves = []
    for kind in range(axis.kinds):
        terms = [
            (_every(y, dim, phase, axis.phases), first - offset, factor)
            for phase, its, offset, factor in axis.terms
            if its == kind
        ]
        moves += _sum_shifted(z.select(3, kind), dim, terms)
    return moves


def _every(x: Tensor, dim: int, first: int, step: int) -> Tensor:
    return x[(slice(None),) * dim + (slice(first, None, step),)] if step > 1 else x


def _sum_shifted(target: Tensor, dim: int, terms: list[tuple[Tensor, int, float]]) -> list[Move]:
    """Return what sets target[q] = sum of factor * source[q + offset] along ``dim``; a source is zeros outside."""
    size, reaching = target.shape[dim], []
    for source, offset, factor in terms:
        start, stop = max(0, -offset), min(size, source.shape[dim] - offset)
        if start < stop:
            reached = target.narrow(dim, start, stop - start)
            reaching.append((reached, source.narrow(dim, start + offset, stop - start), factor))
    # One that reaches everywhere comes first, so that nothing need be set to zero.
    reaching.sort(key=lambda term: term[0].shape[dim] < size)
    moves: list[Move] = []
    if reaching and reaching[0][0].shape[dim] == size:
        _, source, factor = reaching.pop(0)
        moves.append(partial(torch.mul, source, factor, out=target))
    else:
        moves.append(target.zero_)
    return moves + [partial(reached.add_, source, alpha=factor) for reached, source, factor in reaching]
