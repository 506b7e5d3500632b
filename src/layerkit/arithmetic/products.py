"""Matrix products over all pixels of a batch, shared out among threads as everything else is: by pictures.

Activations and sums leave the first half of the pictures to the first of two threads. A matrix product cuts its result
as it pleases, and then each core must fetch half of everything from the other, which takes longer than the arithmetic
where they have no cache in common. Products of as many parts of the batch as there are threads go each to its own.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from layerkit.arithmetic.passes import Allocate, Move

Rows = tuple[tuple[float, ...], ...]
"""A small matrix of constants, row by row."""


def in_both_directions(down: Rows, across: Rows, like: Tensor) -> Tensor:
    """Return the Kronecker product of two matrices, with the dtype and on the device of ``like``.

    Applied to the taps of a kernel (kh * kw, ...) it is ``down`` along its columns and ``across`` along its rows.
    """
    vertical = torch.tensor(down, dtype=like.dtype, device=like.device)
    horizontal = vertical if across == down else torch.tensor(across, dtype=like.dtype, device=like.device)
    return torch.kron(vertical, horizontal)


def multiply(n: int, rows: Tensor, matrix: Tensor, out: Tensor, bias: Tensor | None = None) -> Move:
    """Return what sets ``out`` (M, L) to ``rows`` (M, K) times ``matrix`` (K, L), plus ``bias`` (L,).

    Args:
        n: pictures, of which M has so many rows each.
        out: one that is not contiguous is not shared out.
    """
    parts = _parts(n) if out.is_contiguous() else 1
    if parts == 1:
        # The product accumulates onto the bias: adding it afterwards would round once more.
        return partial(torch.mm if bias is None else partial(torch.addmm, bias), rows, matrix, out=out)
    factors = _cut(rows, parts), matrix.expand(parts, *matrix.shape)
    out = out.view(parts, -1, out.shape[1])
    return partial(torch.bmm if bias is None else partial(torch.baddbmm, bias), *factors, out=out)


def multiply_and_add(n: int, columns: Tensor, rows: Tensor, target: Tensor, scratch: Allocate) -> list[Move]:
    """Return what adds ``columns`` (K, M) times ``rows`` (M, L), a sum over all pixels, to ``target`` (K, L).

    Args:
        n: pictures, of which M has so many rows each.
        scratch: gives memory that is needed only here.
    """
    parts = _parts(n)
    if parts == 1:
        return [partial(target.addmm_, columns, rows)]
    factors = _cut(columns.t(), parts).transpose(1, 2), _cut(rows, parts)
    sums = scratch("sums", (parts, *target.shape), rows)
    return [partial(torch.bmm, *factors, out=sums), *(partial(target.add_, part) for part in sums)]


def _cut(rows: Tensor, parts: int) -> Tensor:
    return rows.view(parts, len(rows) // parts, rows.shape[1])


def _parts(n: int) -> int:
    threads = torch.get_num_threads()
    return threads if n and n % threads == 0 else 1
