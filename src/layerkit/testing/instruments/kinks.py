"""What may be expected of a gradient at a point without a derivative.

There the gradient is to be one of the limits of gradients near it, or between them (Clarke, *Optimization and Nonsmooth
Analysis*, 1983). Where the function is convex or concave along a direction, as |x| and the largest of several values
are, the derivatives from the left and from the right are the ends of what these limits give along it. At a tie of what
is sorted they are not: a step moves a value to one end of the tied ones, and near by it may be in the middle.
"""

from __future__ import annotations

import torch
from torch import Tensor

from layerkit.testing.instruments.numerics import STEP, Evaluate, numeric_derivative

NEARBY = 100
"""How many points near a kink are tried."""
DISTANCE = 1e-5
"""How far they are; differences there are taken over a thousandth of it, between one kink and the next."""
OTHERS = 40
"""How many other directions a direction is tried with."""


def sides_are_ends(
    evaluate: Evaluate,
    x: Tensor,
    direction: Tensor,
    cotangent: Tensor,
    sides: tuple[float, float],
    generator: torch.Generator,
) -> bool:
    """Return whether the one-sided derivatives along a direction are the ends of those near a kink.

    Args:
        evaluate: gives the output for what ``x`` holds at the time.
        x: the point; it is changed in place and put back.
        direction: along which derivatives are taken.
        cotangent: of the output.
        sides: the derivatives from the left and from the right.
        generator: of the points near by.
    """
    centre = x.clone()
    slack = 1e-3 * (1 + abs(sides[0]) + abs(sides[1]))
    for _ in range(NEARBY):
        x.copy_(centre + DISTANCE * torch.randn(x.shape, generator=generator, dtype=x.dtype))
        slope = numeric_derivative(evaluate, x, direction, cotangent, DISTANCE / 1000)
        x.copy_(centre)
        if not min(sides) - slack <= slope <= max(sides) + slack:
            return False
    return _is_convex_or_concave(evaluate, x, direction, cotangent, generator)


def _is_convex_or_concave(
    evaluate: Evaluate, x: Tensor, direction: Tensor, cotangent: Tensor, generator: torch.Generator
) -> bool:
    """Return whether f'(v) + f'(w) - f'(v + w) has one sign for both senses v of a direction, with many others w."""
    centre, height = x.clone(), evaluate().clone()

    def along(v: Tensor) -> float:
        x.copy_(centre + STEP * v)
        rise = float((cotangent * (evaluate() - height)).sum()) / STEP
        x.copy_(centre)
        return rise

    excesses = []
    for sense in (3 * direction, -3 * direction):
        rise = along(sense)
        for _ in range(OTHERS):
            other = torch.randn(x.shape, generator=generator, dtype=x.dtype)
            parts = rise, along(other), along(sense + other)
            excesses.append((parts[0] + parts[1] - parts[2]) / (1 + sum(map(abs, parts))))
    return min(excesses) > -1e-4 or max(excesses) < 1e-4
