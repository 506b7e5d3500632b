"""How strong the noise of a picture is, as far as the picture alone tells, and whether a network has seen the like.

The estimate is ``skimage.restoration.estimate_sigma``: the median size of the finest diagonal wavelet coefficients, in
units of what it is for Gaussian noise of deviation 1 (0.6745; Donoho and Johnstone 1994), in the mean of the channels.
Of other noise it measures what looks like that: fine texture counts as noise, and coarse noise, as in a picture that
was enlarged, does not. So a network's range comes from the same estimate on its own training inputs, and is no more
than a hint where the noise depends on texture.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from statistics import fmean

import numpy as np
from torch import Tensor

MIN_SIDE = 8
"""Height and width, in pixels, below which a picture has too few wavelet coefficients for an estimate."""
MAX_PICTURES = 256
"""Training inputs that a range is taken from."""
PERCENTILES = (5, 95)
"""Ends of the range among the training inputs: single crops scatter, and some hold nothing but texture."""
MARGIN = 1.25
"""Factor by which a picture may be outside the range; clipping to 0..255 alone lowers an estimate by up to a fifth."""


@dataclass(frozen=True)
class NoiseRange:
    """The noise that a network was trained for, by :func:`estimate_noise`, in units of 8-bit values.

    Raises:
        ValueError: when the ends are not two finite numbers from 0, the lower one first.
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        numbers = all(type(end) in (int, float) for end in (self.low, self.high))
        if not numbers or not 0 <= self.low <= self.high < math.inf:
            raise ValueError(f"expected two numbers from 0, the lower one first, not {self.low!r} and {self.high!r}")

    def remark(self, level: float) -> str | None:
        """Return what is to be said about a picture with noise of this level; None if it is as in training."""
        if self.low / MARGIN <= level <= self.high * MARGIN:
            return None
        trained = f"the network was trained for about {self.low:.0f} to {self.high:.0f} of 255"
        if level < self.low:
            found = "hardly any noise" if level < 3 else f"little noise, about {level:.0f}"
            return f"{found}; {trained}, and may blur details"
        return f"much noise, about {level:.0f}; {trained}, and may leave some"


def estimate_noise(pixels: Tensor) -> float | None:
    """Return the standard deviation of a picture's noise in units of 8-bit values; 0 for a constant picture.

    Args:
        pixels: (C, H, W), uint8 from 0 to 255 or floats from 0 to 1.

    Returns None for a picture that is too small.
    """
    if min(pixels.shape[1:]) < MIN_SIDE:
        return None
    from skimage.restoration import estimate_sigma

    scale = 255 if pixels.is_floating_point() else 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a constant channel has no coefficients, and a median of NaN
        levels = [float(estimate_sigma(plane.float().cpu().numpy())) for plane in pixels]
    return scale * fmean(0.0 if math.isnan(level) else level for level in levels)


def estimate_range(inputs: Tensor) -> NoiseRange | None:
    """Return the range of noise in training inputs (N, C, H, W), values from 0 to 1, the first of them.

    Values beyond 0..1 are clipped, as they are in every picture file. Returns None for inputs that are too small.
    """
    levels = [estimate_noise(picture.clamp(0, 1)) for picture in inputs[:MAX_PICTURES]]
    if not levels or None in levels:
        return None
    low, high = np.percentile(levels, PERCENTILES)
    return NoiseRange(float(low), float(high))
