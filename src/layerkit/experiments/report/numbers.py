"""Writes numbers for the page, and a dash where there is none."""

from __future__ import annotations

from collections.abc import Callable

from layerkit.denoising.metrics import PSNR_MEAN
from layerkit.experiments.report.section import Spread

NOTHING = "–"  # noqa: RUF001
Writing = Callable[[float], str]


def fixed(decimals: int) -> Writing:
    """Return a function that writes a number with this many decimals."""
    return lambda value: f"{value:.{decimals}f}"


def seconds(value: float) -> str:
    """Return seconds as text, with one decimal below 100."""
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}"


psnr = fixed(PSNR_MEAN.decimals)
loss = fixed(4)


def number(value: float | None, write: Writing) -> str:
    """Return a number that may be missing."""
    return NOTHING if value is None else write(value)


def spread(values: Spread | None, write: Writing) -> str:
    """Return the mean as text, and if there are several values also the least and the greatest."""
    if values is None:
        return NOTHING
    text = write(values.mean)
    return text if values.width is None else f"{text} ({write(min(values.values))} to {write(max(values.values))})"
