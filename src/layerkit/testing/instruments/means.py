"""Whether the mean of random numbers is what it should be, as far as draws can tell."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from layerkit.testing.check import CheckFailed

SIGMAS = 6.0
"""A mean that is further off than this many standard errors is not the expected one."""
LOOKS = (1, 8)
"""How many samples are drawn: a few, and, where their mean is off, as many others that must agree."""
UNSEEN = 9
"""The standard error allows for so many events as large as the largest one that was seen.

What is rare, as a hot pixel in a thousand, is in most samples not at all, and then they show no spread either.
"""


def require_mean(sample: Callable[[str], tuple[Tensor, Tensor | float]], what: str) -> None:
    """Fail unless the mean over dimension 0 is the expected one, in each number; NaN does not count.

    Args:
        sample: returns independent numbers (draws, ...) for each word that it is given, and their expected mean.
        what: the sentence to fail with.
    """
    fault = None
    for look, count in enumerate(LOOKS):
        fault = _fault(sample(f"look {look}, {index}") for index in range(count))
        if fault is None:
            return
    analytic, numeric = fault or (None, None)
    raise CheckFailed(what, analytic=analytic, numeric=numeric)


def _fault(samples: Iterator[tuple[Tensor, Tensor | float]]) -> tuple[float, float] | None:
    """Return the mean and the expected one where they are furthest apart, if that is too far."""
    count = total = squares = torch.zeros((), dtype=torch.float64)
    largest = 0.0
    wanted: Tensor | float = 0.0
    for values, wanted in samples:
        deviation = values - wanted
        known = ~deviation.isnan()
        deviation = deviation.nan_to_num()
        count = count + known.sum(0)
        total, squares = total + deviation.sum(0), squares + deviation.square().sum(0)
        largest = max(largest, float(deviation.abs().max()) if deviation.numel() else 0.0)
    count = count.clamp(min=1)
    mean = total / count
    variance = (squares / count - mean.square()).clamp(min=0) + UNSEEN * largest**2 / count
    off, error = mean.abs(), (variance / count).sqrt()
    if not bool((off > SIGMAS * error + 1e-9).any()):
        return None
    worst = int((off / (error + 1e-12)).argmax())
    centre = float(torch.as_tensor(wanted, dtype=mean.dtype).expand_as(mean).flatten()[worst])
    return centre + float(mean.flatten()[worst]), centre
