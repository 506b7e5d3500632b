"""The terms of sums of shifted pictures along one direction; see :mod:`layerkit.arithmetic.sums`."""

from __future__ import annotations

from typing import NamedTuple


class Term(NamedTuple):
    """One term of a sum.

    Attributes:
        phase: the phase r of the output rows s q + r that it is added to.
        product: the index of the product that it is taken from.
        offset: the row of the product that it is taken from, relative to q.
        factor: the factor that it is multiplied by.
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
