"""Guesses, from the way in which a tensor is wrong, which common mistake causes it."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

CLOSE = 1e-5
LEAST_RIGHT = 0.2
"""A smaller share of values that are right may be so by chance."""


def guess(given: Tensor, expected: Tensor, counts: Mapping[str, int] | None = None, *, samples: bool = False) -> str:
    """Return a likely mistake in plain language; an empty text where none explains all the numbers.

    Args:
        given: what the component gave.
        expected: what it should have been.
        counts: of a gradient, numbers that may have slipped in as a factor, by name, such as the batch size.
        samples: whether dimension 0 is that of the samples of a batch.
    """
    given, expected = given.detach().double(), expected.detach().double()
    if given.shape != expected.shape or not given.numel():
        return ""
    if not bool(given.isfinite().all()):
        return "some values are infinite or not a number: a division by zero, or memory that was never written"
    if not bool(expected.isfinite().all()):
        return ""
    if not bool(given.any()):
        dropped = ": the gradient is dropped, or was written to another tensor"
        return "it is zero everywhere" + (dropped if counts is not None else "")
    factor = _common_factor(given, expected)
    if factor is not None:
        # One value is a multiple of any other, which explains nothing.
        return _factor(factor, counts or {}, several=int((expected != 0).sum()) > 1)
    return _rearranged(given, expected) or _partly(given, expected, samples)


def _common_factor(given: Tensor, expected: Tensor) -> float | None:
    """Return the number that ``expected`` must be multiplied by to become ``given``, if there is one."""
    energy = float(expected.square().sum())
    if not energy:
        return None
    factor = float((given * expected).sum()) / energy
    residual = (given - factor * expected).abs().max()
    return factor if factor and residual <= CLOSE * given.abs().max() else None


def _factor(factor: float, counts: Mapping[str, int], *, several: bool) -> str:
    if f"{factor:.6g}" == "1":
        return "it differs in the last digits alone: rounding, or a constant with too few digits" if several else ""
    divided = _named(counts, 1 / factor)
    multiplied = _named(counts, factor)
    known = {-1.0: "the sign is turned around", 2.0: "it is counted twice", 0.5: "a factor of 2 is missing"}
    for value, meaning in known.items():
        if math.isclose(factor, value, rel_tol=CLOSE):
            named = f"divided by {divided}" if divided else f"multiplied by {multiplied}" if multiplied else ""
            also = f" (or {named})" if named else ""
            return f"{meaning}{also}: {'everywhere ' if several else ''}{value:g} times what it should be"
    if divided:
        return f"it is 1/{round(1 / factor)} of what it should be: divided by {divided}"
    if multiplied:
        return f"it is {round(factor)} times what it should be: multiplied by {multiplied}"
    if not several:
        return ""
    inverse = 1 / factor
    if math.isclose(inverse, round(inverse), rel_tol=CLOSE) and 2 <= abs(round(inverse)) < 1e6:
        return f"it is 1/{round(inverse)} of what it should be: a mean instead of a sum?"
    return f"everywhere {factor:.6g} times what it should be"


def _named(counts: Mapping[str, int], factor: float) -> str:
    """Return which counts a factor is, of which there may be several."""
    names = [name for name, count in counts.items() if count > 1 and math.isclose(factor, count, rel_tol=CLOSE)]
    return " or ".join(f"the {name}" for name in names[:3]) + (f" ({round(factor)})" if names else "")


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


def _partly(given: Tensor, expected: Tensor, samples: bool) -> str:
    """Return where the values that are right lie; of values that are zero anyway nothing can be told."""
    telling = (given != 0) | (expected != 0)
    right = (given - expected).abs() <= CLOSE * expected.abs().max()
    share = float(right[telling].double().mean())
    if share < LEAST_RIGHT:
        return ""
    for dim in range(given.dim()):
        if given.shape[dim] < 2:
            continue
        rows = right.transpose(0, dim).flatten(1).all(1) if given.dim() > 1 else right
        wholly_wrong = not bool((right & telling).transpose(0, dim)[~rows].any())
        if bool(rows.any()) and not bool(rows.all()) and wholly_wrong:
            wrong = [int(index) for index in torch.nonzero(~rows).flatten()[:5]]
            name = "samples" if dim == 0 and samples else f"indices of dimension {dim}"
            return f"right for some {name}, wrong for {', '.join(map(str, wrong))}"
    return f"{share:.0%} of the values are right: a border, a mask or a special case?"
