"""Whether two tensors are the same, exactly or but for rounding."""

from __future__ import annotations

import torch
from torch import Tensor

from layerkit.testing.check import CheckFailed
from layerkit.testing.instruments.guesses import guess

ROUNDING = 1e-9
"""Two ways of computing one float64 number differ by less than this, relative to the largest number around."""


def require_same_bits(given: Tensor, expected: Tensor, what: str) -> None:
    """Fail unless two tensors are equal in shape, dtype and every bit; NaN equals NaN."""
    _require_alike(given, expected, what)
    if torch.equal(given, expected):  # as most are, and as NaN never is
        return
    if not torch.equal(torch.nan_to_num(given, nan=0.125), torch.nan_to_num(expected, nan=0.125)):
        _fail(given, expected, what)


def require_close(given: Tensor, expected: Tensor, what: str, tolerance: float | Tensor = ROUNDING) -> None:
    """Fail unless two tensors differ by no more than ``tolerance``, relative to the largest expected number.

    Args:
        given: what the component gave.
        expected: what it should have been.
        what: the sentence to fail with.
        tolerance: a number that is relative, or a tensor of absolute ones.
    """
    _require_alike(given, expected, what)
    if torch.equal(given, expected):
        return
    absolute = tolerance if isinstance(tolerance, Tensor) else tolerance * (1e-3 + expected.abs().max().item())
    difference = (given - expected).abs()
    # Both infinite, or both not a number, is the same; compare with "not within", for NaN is within nothing.
    same = (given == expected) | (given.isnan() & expected.isnan())
    if not bool((same | (difference <= absolute)).all()):
        _fail(given, expected, what)


def _require_alike(given: Tensor, expected: Tensor, what: str) -> None:
    if given.shape != expected.shape:
        raise CheckFailed(f"{what}: the shape is {tuple(given.shape)} and should be {tuple(expected.shape)}")
    if given.dtype != expected.dtype:
        raise CheckFailed(f"{what}: the dtype is {given.dtype} and should be {expected.dtype}")


def _fail(given: Tensor, expected: Tensor, what: str) -> None:
    difference = (given.double() - expected.double()).abs().nan_to_num(nan=torch.inf).flatten()
    worst = int(difference.argmax())
    wrong = int((difference > 0).sum())
    where = tuple(int(i) for i in torch.unravel_index(torch.tensor(worst), given.shape))
    raise CheckFailed(
        f"{what}: {wrong} of {given.numel()} values differ, most of all the one at {where}",
        analytic=float(given.flatten()[worst]),
        numeric=float(expected.flatten()[worst]),
        guess=guess(given, expected),
    )
