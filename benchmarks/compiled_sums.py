"""The sums of shifted pictures by torch.compile, which fuses their plain formula into kernels of its own.

It is a backend like those of :mod:`layerkit.arithmetic.backends`, to be measured beside them on a GPU. On a processor
the code that torch.compile writes is several times slower than operations of torch.
"""

from __future__ import annotations

from functools import cache, partial

import torch
from torch import Tensor

from layerkit.arithmetic.axes import Axis, Term
from layerkit.arithmetic.passes import Memory, Move

COMPILER = "inductor"
PRODUCTS = 3


def device() -> str:
    return "cuda"


def unavailable() -> str:
    return ""


def suits(down: Axis, across: Axis, z: Tensor, y: Tensor) -> bool:
    return y.numel() > 0 < z.numel()


def combine(
    down: Axis, across: Axis, z: Tensor, y: Tensor, memory: Memory, bias: Tensor | None, first: int
) -> list[Move]:
    """Return the move that sets ``y`` to the sums of ``z``."""
    compiled = _compiled(_combined, down, across, first)
    return [lambda: y.copy_(compiled(z, bias, y.shape[1], y.shape[2]))]


def combine_transposed(down: Axis, across: Axis, y: Tensor, z: Tensor, memory: Memory, first: int) -> list[Move]:
    """Return the move that sets ``z`` to the transpose of the sums of ``y``."""
    compiled = _compiled(_transposed, down, across, first)
    return [lambda: z.copy_(compiled(y, z.shape[1], z.shape[2]))]


@cache
def _compiled(function, down: Axis, across: Axis, first: int):
    torch._dynamo.config.recompile_limit = 512
    return torch.compile(partial(function, down, across, first), dynamic=False, backend=COMPILER)


def _combined(down: Axis, across: Axis, first: int, z: Tensor, bias: Tensor | None, rows: int, columns: int) -> Tensor:
    y = _along(across, _along(down, z, 1, rows, first), 2, columns, 0)
    return y if bias is None else y + bias


def _along(axis: Axis, z: Tensor, dim: int, size: int, first: int) -> Tensor:
    places = -(-size // axis.phases)
    phases = [
        _total([(z.select(PRODUCTS, term.product), term.offset + first, term.factor) for term in terms], z, dim, places)
        for terms in _by(axis, "phase", axis.phases)
    ]
    return torch.stack(phases, dim + 1).flatten(dim, dim + 1).narrow(dim, 0, size)


def _transposed(down: Axis, across: Axis, first: int, y: Tensor, rows: int, columns: int) -> Tensor:
    return _back(across, _back(down, y, 1, rows, first), 2, columns, 0).transpose(3, 4)


def _back(axis: Axis, y: Tensor, dim: int, size: int, first: int) -> Tensor:
    every = [y[(slice(None),) * dim + (slice(phase, None, axis.phases),)] for phase in range(axis.phases)]
    products = [
        _total([(every[term.phase], first - term.offset, term.factor) for term in terms], y, dim, size)
        for terms in _by(axis, "product", axis.products)
    ]
    return torch.stack(products, PRODUCTS)


def _by(axis: Axis, name: str, count: int) -> list[list[Term]]:
    return [[term for term in axis.terms if getattr(term, name) == number] for number in range(count)]


def _total(terms: list[tuple[Tensor, int, float]], like: Tensor, dim: int, places: int) -> Tensor:
    """Return the sum of factor * source[q + offset] along ``dim``, with zeros outside."""
    total: Tensor | None = None
    for source, offset, factor in terms:
        start, stop = max(0, offset), max(0, min(source.shape[dim], places + offset))
        piece = source.narrow(dim, min(start, source.shape[dim]), max(0, stop - start))
        before = min(places, max(0, -offset))
        padding = [0, 0] * (source.dim() - 1 - dim) + [before, places - before - piece.shape[dim]]
        part = torch.nn.functional.pad(piece, padding) * factor
        total = part if total is None else total + part
    if total is not None:
        return total
    shape = list(like.shape if like.dim() == 4 else like.select(PRODUCTS, 0).shape)
    shape[dim] = places
    return like.new_zeros(shape)
