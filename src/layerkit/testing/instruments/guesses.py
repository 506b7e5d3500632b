"""Guesses, from the way in which a tensor is wrong, which common mistake causes it."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

CLOSE = 1e-5


def guess(given: Tensor, expected: Tensor, counts: Mapping[str, int] | None = None) -> str:
    """Return a likely mistake in plain language; an empty text where nothing fits.

    Args:
        given: what the component gave.
        expected: what it should have been.
        counts: numbers that may have slipped in as a factor, by name, such as the batch size.
    """
    given, expected = given.detach().double(), expected.detach().double()
    if given.shape != expected.shape or not given.numel():
        return ""
    if not bool(given.isfinite().all()):
        return "some values are infinite or not a number: a division by zero, or memory that was never written"
    if not bool(expected.isfinite().all()):
        return ""
    if not bool(given.any()):
        return "it is zero everywhere: the gradient is dropped, or was written to another tensor"
    factor = _common_factor(given, expected)
    if factor is not None:
        return _factor(factor, counts or {})
    return _rearranged(given, expected) or _partly(given, expected)


def _common_factor(given: Tensor, expected: Tensor) -> float | None:
    """Return the number that ``expected`` must be multiplied by to become ``given``, if there is one."""
    energy = float(expected.square().sum())
    if not energy:
        return None
    factor = float((given * expected).sum()) / energy
    residual = (given - factor * expected).abs().max()
    return factor if factor and residual <= CLOSE * given.abs().max() else None


def _factor(factor: float, counts: Mapping[str, int]) -> str:
    known = {-1.0: "the sign is turned around", 2.0: "it is counted twice", 0.5: "a factor of 2 is missing"}
    for value, meaning in known.items():
        if math.isclose(factor, value, rel_tol=CLOSE):
            named = next((f" (or divided by the {n})" for n, c in counts.items() if c > 1 and value == 1 / c), "")
            named = named or next(
                (f" (or multiplied by the {n})" for n, c in counts.items() if c > 1 and value == c), ""
            )
            return f"{meaning}{named}: everywhere {value:g} times what it should be"
    for name, count in counts.items():
        if count > 1 and math.isclose(factor, 1 / count, rel_tol=CLOSE):
            return f"it is 1/{count} of what it should be, divided by the {name} ({count})"
        if count > 1 and math.isclose(factor, count, rel_tol=CLOSE):
            return f"it is {count} times what it should be, multiplied by the {name} ({count})"
    inverse = 1 / factor
    if math.isclose(inverse, round(inverse), rel_tol=CLOSE) and 1 < abs(inverse) < 1e6:
        return f"it is 1/{round(inverse)} of what it should be: a mean instead of a sum?"
    return f"everywhere {factor:.6g} times what it should be"


def _rearranged(given: Tensor, expected: Tensor) -> str:
    for first in range(given.dim()):
        for second in range(first + 1, given.dim()):
            if given.shape[first] == given.shape[second] > 1 and _same(given.transpose(first, second), expected):
                return f"transposed: dimensions {first} and {second} are exchanged"
        if given.shape[first] > 1 and _same(given.flip(first), expected):
            return f"dimension {first} runs backwards"
    if given.dim() >= 2 and _same(given.flip(-1).flip(-2), expected):
        return "flipped in both directions, as a kernel that should not be (or should be)"
    if given.numel() > 1 and _same(given.flatten().sort().values, expected.flatten().sort().values):
        return "the right numbers in the wrong places: a wrong order of dimensions in a reshape?"
    return ""


def _same(first: Tensor, second: Tensor) -> bool:
    return bool((first - second).abs().max() <= CLOSE * second.abs().max())


def _partly(given: Tensor, expected: Tensor) -> str:
    right = (given - expected).abs() <= CLOSE * expected.abs().max()
    share = float(right.double().mean())
    if share == 0:
        return "" if bool((given.sign() == expected.sign()).all()) else "no value is right, and some signs are wrong"
    for dim in range(given.dim()):
        if given.shape[dim] < 2:
            continue
        rows = right.transpose(0, dim).flatten(1).all(1) if given.dim() > 1 else right
        if bool(rows.any()) and not bool(rows.all()):
            wrong = [int(index) for index in torch.nonzero(~rows).flatten()[:5]]
            name = "samples" if dim == 0 else f"indices of dimension {dim}"
            return f"right for some {name}, wrong for {', '.join(map(str, wrong))}"
    return f"{share:.0%} of the values are right: a border, a mask or a special case?"
