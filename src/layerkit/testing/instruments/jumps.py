"""Where a function of one number jumps: where two neighbouring floats have values that are not neighbours."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

PIECES = 1000
SUSPECTS = 4
"""Of all pieces of an interval the few over which the function changes most, or bends most, are looked into."""
LEAST = 1e-7
"""A jump of less than this, relative to the largest value, is rounding."""


def jumps_of(
    function: Callable[[float], float], low: float, high: float, pieces: int = PIECES
) -> list[tuple[float, float]]:
    """Return the neighbouring floats between which ``function`` jumps, a few of them if there are many.

    A piece over which the function changes is halved, and the half is taken over which it changes more, until no float
    is left in between. Over such a way the change of what is continuous comes to nothing, and a jump stays.
    """
    places = [low + (high - low) * index / pieces for index in range(pieces + 1)]
    values = [function(place) for place in places]
    changes = [abs(after - before) for before, after in pairwise(values)]
    # A small jump in a steep function is not where it changes most, but where it bends most.
    around = [0.0, *changes, 0.0]
    bends = [abs(around[i + 1] - (around[i] + around[i + 2]) / 2) for i in range(pieces)]
    order = sorted(range(pieces), key=changes.__getitem__)[-SUSPECTS:]
    order += sorted(range(pieces), key=bends.__getitem__)[-SUSPECTS:]
    largest = max(map(abs, values), default=0.0)
    found = {_halved(function, places[index], places[index + 1]) for index in order}
    return [pair for pair in sorted(found) if abs(function(pair[1]) - function(pair[0])) > LEAST * largest]


def _halved(function: Callable[[float], float], low: float, high: float) -> tuple[float, float]:
    below, above = function(low), function(high)
    while True:
        middle = low + (high - low) / 2
        if not low < middle < high or math.nextafter(low, high) == high:
            return low, high
        value = function(middle)
        if abs(value - below) > abs(above - value):
            high, above = middle, value
        else:
            low, below = middle, value
