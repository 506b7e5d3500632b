"""What sums of shifted pictures are made of, along one direction; see :mod:`layerkit.arithmetic.sums`."""

from __future__ import annotations

from typing import NamedTuple


class Term(NamedTuple):
    """One summand.

    Attributes:
        phase: of the output rows that it is part of.
        product: the number of the picture that it is taken from.
        offset: the row there that it is taken from, counted from q.
        factor: what it is multiplied by.
    """

    phase: int
    product: int
    offset: int
    factor: float


class Axis(NamedTuple):
    """One direction: the number of phases and of products, and the terms."""

    phases: int
    products: int
    terms: tuple[Term, ...]
