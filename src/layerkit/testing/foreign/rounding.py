"""How far a gradient may be from the exact one because of rounding alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from layerkit.testing.foreign.routes import Gradients, straight
from layerkit.testing.foreign.trial import Prepared, Trial
from layerkit.testing.instruments.numerics import DOUBLE

SAME = 1e-9
"""Two ways of computing one number in float64 differ by less than this, relative to the largest number around."""
SAME_IN_SINGLE = 1e-4
"""The same where a function computes in float32 inside."""
ROUNDINGS = {torch.float32: 64.0, torch.float16: 16.0, torch.bfloat16: 8.0}
"""A gradient in a lower dtype may be wrong by so many times what one rounding of its inputs does to it."""
SHAKES = 3


def allowed(trial: Trial, prepared: Prepared, expected: Gradients, lower: torch.dtype | None) -> list[Tensor | float]:
    """Return how far each gradient may be off: its largest value, or its norm where there is a lower dtype."""
    sent = norm_of(prepared.plain_cotangents)
    # Where large numbers cancel, their rounding is left: a gradient may be as far off as one of the usual size.
    usual = [usual * sent for usual in trial.learned.gains or [1.0] * len(expected)]
    if lower is None:
        rounding = SAME if trial.learned.precision is DOUBLE else SAME_IN_SINGLE
        return [
            rounding * (around + (g.abs().max() if g is not None and g.numel() else 0.0)) + rounding / 1000
            for around, g in zip(usual, expected, strict=True)
        ]
    epsilon, tiny = torch.finfo(lower).eps, torch.finfo(lower).smallest_normal
    return [
        ROUNDINGS[lower] * (moved + epsilon * max(around, norm_of([g])) + (tiny * g.numel() if g is not None else 0.0))
        for moved, around, g in zip(_shaken(trial, prepared, expected, epsilon), usual, expected, strict=True)
    ]


def norm_of(tensors: Sequence[Tensor | None]) -> float:
    """Return the norm of all numbers of some tensors; None has none."""
    return math.sqrt(sum(float(tensor.detach().square().sum()) for tensor in tensors if tensor is not None))


def _shaken(trial: Trial, prepared: Prepared, expected: Gradients, epsilon: float) -> list[float]:
    """Return by how much the gradients move when all numbers that go into them are rounded once."""
    most = [0.0] * len(expected)
    for seed in range(SHAKES):
        generator = torch.Generator().manual_seed(seed)

        def shaken(value: Any, generator: torch.Generator = generator) -> Any:
            if not isinstance(value, Tensor) or not value.is_floating_point():
                return value
            signs = torch.randint(0, 2, value.shape, generator=generator, dtype=value.dtype) * 2 - 1
            return (value.detach() * (1 + epsilon * signs)).requires_grad_(value.requires_grad)

        values, cotangents = map(shaken, prepared.plain), map(shaken, prepared.plain_cotangents)
        other = straight(trial.call, list(values), list(cotangents))
        most = [max(a, b) for a, b in zip(most, _distances(other, expected), strict=True)]
    return most


def _distances(given: Gradients, expected: Gradients) -> list[float]:
    return [
        float((a.to(b.dtype) - b).norm()) if a is not None and b is not None else 0.0
        for a, b in zip(given, expected, strict=True)
    ]
