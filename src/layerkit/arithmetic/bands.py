"""Cuts pictures into bands of rows, so that intermediate results of one band stay in the processor's cache."""

from __future__ import annotations

from typing import NamedTuple

NUMBERS = 2**20
"""How many numbers a band may need from input to output: more do not fit into the cache, and with fewer each operation
has too little to do."""


class Band(NamedTuple):
    """The rows from ``first`` to ``stop`` (excluded) of some of the pictures."""

    pictures: slice
    first: int
    stop: int


def whole(n: int, rows: int) -> list[Band]:
    """Return ``n`` pictures of ``rows`` rows as one band."""
    return [Band(slice(0, n), 0, rows)]


def bands(n: int, rows: int, numbers: int) -> list[Band]:
    """Return ``n`` pictures of ``rows`` rows in bands, the largest first; ``numbers`` are what one picture needs."""
    if n * numbers <= NUMBERS:
        return whole(n, rows)
    if numbers <= NUMBERS:
        together = NUMBERS // numbers
        return [Band(slice(first, min(first + together, n)), 0, rows) for first in range(0, n, together)]
    height = -(-rows // -(-numbers // NUMBERS))
    return [
        Band(slice(picture, picture + 1), first, min(first + height, rows))
        for picture in range(n)
        for first in range(0, rows, height)
    ]
