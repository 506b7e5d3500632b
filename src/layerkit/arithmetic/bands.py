"""Cuts pictures into bands of rows, so that intermediate results of one band stay in the processor's cache, or in a
GPU's memory."""

from __future__ import annotations

from typing import NamedTuple


class Band(NamedTuple):
    """The rows from ``first`` to ``stop`` (excluded) of some of the pictures."""

    pictures: slice
    first: int
    stop: int


def whole(n: int, rows: int) -> list[Band]:
    """Return ``n`` pictures of ``rows`` rows as one band."""
    return [Band(slice(0, n), 0, rows)]


def bands(n: int, rows: int, numbers: int, most: int) -> list[Band]:
    """Return ``n`` pictures of ``rows`` rows in bands, the largest first.

    Args:
        numbers: how many numbers one picture needs from input to output.
        most: how many numbers a band may need.
    """
    if n * numbers <= most:
        return whole(n, rows)
    if numbers <= most:
        together = most // numbers
        return [Band(slice(first, min(first + together, n)), 0, rows) for first in range(0, n, together)]
    height = -(-rows // -(-numbers // most))
    return [
        Band(slice(picture, picture + 1), first, min(first + height, rows))
        for picture in range(n)
        for first in range(0, rows, height)
    ]
