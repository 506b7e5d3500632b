"""What samples of random numbers tell for certain: that their mean is off, or that two of them go together.

A test of many cases must hardly ever be wrong by chance, and what is rare has no normal distribution in a small sample.
So what looks wrong is looked at again in a larger sample that was drawn anew, and only what looks wrong in each of
them is.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

SIGMAS = 5.0
"""A mean that is further off than this many standard errors looks wrong."""
GROWTH = (1, 4, 16)
"""Each sample is this many times as large as the first one."""
LEAST = 1e-6
"""What is off by less than this is rounding."""


def is_off(sample: Callable[[int, str], Tensor], count: int) -> float:
    """Return how far the mean of a random number is from zero; 0.0 where it may well be zero.

    Args:
        sample: returns so many numbers (count,), drawn independently of each other for a purpose.
        count: how many the first sample has.
    """
    mean = 0.0
    for growth in GROWTH:
        numbers = sample(growth * count, f"sample {growth}")
        mean = float(numbers.mean())
        error = float(numbers.std()) / len(numbers) ** 0.5
        if abs(mean) <= SIGMAS * error + LEAST:
            return 0.0
    return mean


def goes_together(samples: Callable[[int, str], tuple[Tensor, Tensor]], count: int) -> str:
    """Return in words how two random vectors go together; an empty text where they may well be independent.

    Each number of one is compared with each of the other, and so are their distances from the mean, for what repeats
    another with a random sign goes together with it in size alone.

    Args:
        samples: returns so many of both, (count, numbers) each, for a purpose.
        count: how many the first sample has.
    """
    suspects: dict[str, Tensor] = {}
    for growth in GROWTH[:2]:
        pair = samples(growth * count, f"sample {growth}")
        one, other = ((its - its.mean(0)).double() for its in pair)
        found = {
            "where one is brighter, so is the other, or darker": _correlations(one, other),
            "where one is far from its mean, so is the other": _correlations(
                one.abs() - one.abs().mean(0), other.abs() - other.abs().mean(0)
            ),
        }
        limit = (SIGMAS + 1) / len(one) ** 0.5
        wrong = {how: correlations.abs() > limit for how, correlations in found.items()}
        suspects = {how: its & suspects.get(how, its) for how, its in wrong.items()}
    return next((how for how, its in suspects.items() if bool(its.any())), "")


def _correlations(one: Tensor, other: Tensor) -> Tensor:
    """Return the correlation (numbers, numbers) of each column of one with each of the other; 0 where one is constant.

    What is rare is no proof: a column that deviates in fewer than ten rows counts as constant.
    """
    spreads = []
    for its in (one, other):
        spread = its.square().mean(0).sqrt()
        often = (its.abs() > 0.5 * spread).sum(0) >= 10
        spreads.append(spread.where(often & (spread > 1e-12), spread.new_tensor(float("inf"))))
    return (one.t() @ other) / len(one) / (spreads[0][:, None] * spreads[1][None])
