"""The sums of :mod:`layerkit.arithmetic.sums` by operations of torch: one over all pictures a term, on any device."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from layerkit.arithmetic.axes import Axis, Move


def combine(axis: Axis, z: Tensor, y: Tensor, dim: int, first: int = 0) -> list[Move]:
    """Return what sets the rows of ``y``, along ``dim``, to the sums of shifted rows of ``z``, kinds in dimension 3."""
    moves = []
    for phase in range(axis.phases):
        terms = [
            (z.select(3, kind), offset + first, factor) for its, kind, offset, factor in axis.terms if its == phase
        ]
        moves += _sum_shifted(_every(y, dim, phase, axis.phases), dim, terms)
    return moves


def combine_transposed(axis: Axis, y: Tensor, z: Tensor, dim: int, first: int = 0) -> list[Move]:
    """Return what sets ``z``, from its row ``first`` on, from ``y``: the transpose of :func:`combine`."""
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
