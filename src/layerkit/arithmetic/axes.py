"""What sums of shifted pictures are made of, along one direction; see :mod:`layerkit.arithmetic.sums`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

Move = Callable[[], Any]
"""One operation on memory that is settled."""


class Term(NamedTuple):
    """One summand: the output's phase, the kind of product, the row it is taken from counted from q, and its factor."""

    phase: int
    kind: int
    offset: int
    factor: float


@dataclass(frozen=True)
class Axis:
    """One direction: the number of phases and of kinds, and the terms."""

    phases: int
    kinds: int
    terms: tuple[Term, ...]
