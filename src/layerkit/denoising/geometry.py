"""Tiles of a picture along one axis."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class _Span:
    """A tile along one axis, in pixels: it reads ``begin`` to ``end`` and answers for ``start`` to ``stop``."""

    begin: int
    start: int
    stop: int
    end: int

    @property
    def answer(self) -> slice:
        """Where the tile's own pixels stand in the network's output."""
        return slice(self.start - self.begin, self.stop - self.begin)

    @property
    def read(self) -> int:
        return self.end - self.begin


def _whole(size: int) -> list[_Span]:
    return [_Span(0, 0, size, size)]


def _spans(size: int, grid: int, core: int, halo: int, smallest: int) -> list[_Span]:
    """Return tiles that answer for ``core`` pixels each and read ``halo`` more on both sides, ``smallest`` at least.

    Where the picture ends, so does the tile: the network then pads it as it would pad the picture. All lengths but
    ``size`` are multiples of ``grid``.
    """
    spans = []
    for start in range(0, size, core):
        stop = min(start + core, size)
        end = min(size, max(stop + halo, smallest))
        begin = max(0, min(start - halo, end - smallest)) // grid * grid
        spans.append(_Span(begin, start, stop, end))
    return spans


def _round_up(size: int, step: int) -> int:
    return -(-size // step) * step
