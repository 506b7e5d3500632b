"""Pictures in bands, so that what is made of one band stays in the processor's cache until it is used."""

from __future__ import annotations

from typing import NamedTuple

NUMBERS = 2**20
"""Numbers, on the way from input to output, that a band may need; more leave the cache, fewer are too little work for
each operation."""


class Band(NamedTuple):
    """The rows from ``first`` to ``stop`` of some of the pictures."""

    pictures: slice
    first: int
    stop: int


def whole(n: int, rows: int) -> list[Band]:
    """Return ``n`` pictures of ``rows`` rows as one band."""
    return [Band(slice(0, n), 0, rows)]


def bands(n: int, rows: int, numbers: int) -> list[Band]:
    """Return ``n`` pictures of ``rows`` rows in bands, the largest first, where one picture needs so many numbers."""
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
