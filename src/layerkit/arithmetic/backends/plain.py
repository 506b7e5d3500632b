"""The sums of :mod:`layerkit.arithmetic.sums` by operations of torch, one over all pictures for each term, on any
device."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from layerkit.arithmetic.axes import Axis
from layerkit.arithmetic.passes import Memory, Move

PRODUCTS = 3
"""The dimension of the products of one direction."""


def device() -> str:
    """Return the type of a device whose tensors are supported: the processor."""
    return "cpu"


def unavailable() -> str:
    """Return ``""``: this backend is available wherever torch is."""
    return ""


def suits(down: Axis, across: Axis, z: Tensor, y: Tensor) -> bool:
    """Return True: this backend supports all tensors."""
    return True


def combine(
    down: Axis, across: Axis, z: Tensor, y: Tensor, memory: Memory, bias: Tensor | None, first: int
) -> list[Move]:
    """Return the moves that sum downwards into intermediate memory, sum that across into ``y``, and add the bias."""
    halfway = memory((len(y), y.shape[1], z.shape[2], across.products, y.shape[3]))
    moves = [*_combine(down, z, halfway, 1, first), *_combine(across, halfway, y, 2, 0)]
    return [*moves, partial(y.add_, bias)] if bias is not None else moves


def combine_transposed(down: Axis, across: Axis, y: Tensor, z: Tensor, memory: Memory, first: int) -> list[Move]:
    """Return the moves of the transpose of :func:`combine`."""
    halfway = memory((len(y), z.shape[1], y.shape[2], down.products, y.shape[3]))
    moves = _combine_transposed(down, y, halfway, 1, first)
    return [*moves, *_combine_transposed(across, halfway, z.transpose(3, 4), 2, 0)]


def _combine(axis: Axis, z: Tensor, y: Tensor, dim: int, first: int) -> list[Move]:
    """Return the moves that set the rows of ``y``, along ``dim``, to the sums of shifted rows of ``z``."""
    moves: list[Move] = []
    for phase in range(axis.phases):
        terms = [
            (z.select(PRODUCTS, term.product), term.offset + first, term.factor)
            for term in axis.terms
            if term.phase == phase
        ]
        moves += _sum_shifted(_every(y, dim, phase, axis.phases), dim, terms)
    return moves


def _combine_transposed(axis: Axis, y: Tensor, z: Tensor, dim: int, first: int) -> list[Move]:
    """Return the moves that set ``z``, from its row ``first`` on, from ``y``: the transpose of :func:`_combine`."""
    moves: list[Move] = []
    for product in range(axis.products):
        terms = [
            (_every(y, dim, term.phase, axis.phases), first - term.offset, term.factor)
            for term in axis.terms
            if term.product == product
        ]
        moves += _sum_shifted(z.select(PRODUCTS, product), dim, terms)
    return moves


def _every(x: Tensor, dim: int, first: int, step: int) -> Tensor:
    return x[(slice(None),) * dim + (slice(first, None, step),)] if step > 1 else x


def _sum_shifted(target: Tensor, dim: int, terms: list[tuple[Tensor, int, float]]) -> list[Move]:
    """Return the moves that set target[q] = sum of factor * source[q + offset] along ``dim``, with zeros outside."""
    size, reaching = target.shape[dim], []
    for source, offset, factor in terms:
        start, stop = max(0, -offset), min(size, source.shape[dim] - offset)
        if start < stop:
            reached = target.narrow(dim, start, stop - start)
            reaching.append((reached, source.narrow(dim, start + offset, stop - start), factor))
    # A term that reaches every row comes first, so that nothing needs to be set to zero.
    reaching.sort(key=lambda term: term[0].shape[dim] < size)
    moves: list[Move] = []
    if reaching and reaching[0][0].shape[dim] == size:
        _, source, factor = reaching.pop(0)
        moves.append(partial(torch.mul, source, factor, out=target))
    else:
        moves.append(target.zero_)
    return moves + [partial(reached.add_, source, alpha=factor) for reached, source, factor in reaching]
