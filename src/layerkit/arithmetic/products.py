"""Matrix products over all pixels of a batch, divided among threads by pictures, as everything else is.

With two threads, activations and sums give the first half of the pictures to the first thread. A matrix product divides
its result in another way, and then each core must fetch half of its numbers from the other core, which takes longer
than the arithmetic where the cores share no cache. So the batch is cut into one part per thread, each a product of its
own.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from layerkit.arithmetic.constants import constant
from layerkit.arithmetic.division import division_on
from layerkit.arithmetic.passes import Allocate, Move

Rows = tuple[tuple[float, ...], ...]
"""A small constant matrix as a tuple of rows."""


def in_both_directions(down: Rows, across: Rows, like: Tensor) -> Tensor:
    """Return the Kronecker product of two matrices, with the dtype and on the device of ``like``.

    Multiplied by the taps of a kernel (kh * kw, ...), it applies ``down`` to its columns and ``across`` to its rows.
    """
    vertical, horizontal = (constant(rows, like.dtype, like.device) for rows in (down, across))
    return torch.kron(vertical, horizontal)


def multiply(n: int, rows: Tensor, matrix: Tensor, out: Tensor, bias: Tensor | None = None) -> Move:
    """Return the move that sets ``out`` (M, L) to ``rows`` (M, K) times ``matrix`` (K, L), plus ``bias`` (L,).

    Args:
        n: the number of pictures, each with M / n rows.
        out: the result; the work is divided among threads only if it is contiguous.
    """
    parts = _parts(n, out.device) if out.is_contiguous() else 1
    if parts == 1:
        # The product is accumulated onto the bias, because adding the bias afterwards would round once more.
        return partial(torch.mm if bias is None else partial(torch.addmm, bias), rows, matrix, out=out)
    factors = _cut(rows, parts), matrix.expand(parts, *matrix.shape)
    out = out.view(parts, -1, out.shape[1])
    return partial(torch.bmm if bias is None else partial(torch.baddbmm, bias), *factors, out=out)


def multiply_and_add(n: int, columns: Tensor, rows: Tensor, target: Tensor, scratch: Allocate) -> list[Move]:
    """Return the moves that add ``columns`` (K, M) times ``rows`` (M, L), a sum over all pixels, to ``target`` (K, L).

    Args:
        n: the number of pictures, each with M / n rows.
        scratch: provides memory that is needed only here.
    """
    parts = _parts(n, target.device)
    if parts == 1:
        return [partial(target.addmm_, columns, rows)]
    factors = _cut(columns.t(), parts).transpose(1, 2), _cut(rows, parts)
    sums = scratch("sums", (parts, *target.shape), rows)
    return [partial(torch.bmm, *factors, out=sums), *(partial(target.add_, part) for part in sums)]


def _cut(rows: Tensor, parts: int) -> Tensor:
    return rows.view(parts, len(rows) // parts, rows.shape[1])


def _parts(n: int, device: torch.device) -> int:
    threads = division_on(device).threads
    return threads if n and n % threads == 0 else 1
