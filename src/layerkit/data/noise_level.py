"""Estimates how strong the noise of a single picture is, and whether a network was trained for such noise.

The estimate is the median size of the finest diagonal wavelet coefficients, divided by what it is for Gaussian noise
of standard deviation 1 (Donoho and Johnstone 1994, section 4.2), averaged over the channels. The wavelet is that of
Daubechies (1988) with four taps. ``skimage.restoration.estimate_sigma`` gives the same numbers.

It measures everything that looks like Gaussian noise: fine texture counts as noise, and coarse noise, as in an enlarged
picture, does not. So a network's range comes from the same estimate on its own training inputs, and is only a hint
where the noise depends on texture.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import fmean

import numpy as np
import torch
from torch import Tensor

_ROOT = math.sqrt(3)
TAPS = tuple(tap / math.sqrt(32) for tap in (-1 - _ROOT, 3 + _ROOT, _ROOT - 3, 1 - _ROOT))
"""The high-pass filter of the wavelet."""
MEDIAN_SIZE = 0.6744897501960817
"""Median of the absolute values of Gaussian noise with standard deviation 1."""
MIN_SIDE = 8
"""Height and width, in pixels, below which a picture has too few wavelet coefficients for an estimate."""
MAX_PICTURES = 256
"""The number of training inputs that a range is estimated from."""
PERCENTILES = (5, 95)
"""The quantiles of the training inputs' levels at the ends of the range; single crops may show nothing but texture."""
MARGIN = 1.25
"""Factor by which a picture may be outside the range; clipping to 0..255 alone lowers an estimate by up to a fifth."""


@dataclass(frozen=True)
class NoiseRange:
    """The noise that a network was trained for, as :func:`estimate_noise` measures it, in units of 8-bit values.

    Raises:
        ValueError: when the ends are not two finite numbers of at least 0, the lower one first.
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        numbers = all(type(end) in (int, float) for end in (self.low, self.high))
        if not numbers or not 0 <= self.low <= self.high < math.inf:
            raise ValueError(f"expected two numbers from 0, the lower one first, not {self.low!r} and {self.high!r}")

    def remark(self, level: float) -> str | None:
        """Return a warning about a picture with noise of this level; None if its noise is like that in training."""
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

    Returns None for a picture that is too small for an estimate.
    """
    if min(pixels.shape[1:]) < MIN_SIDE:
        return None
    scale = 255 if pixels.is_floating_point() else 1
    return scale * fmean(_plane_noise(plane) for plane in pixels.cpu())


def _plane_noise(plane: Tensor) -> float:
    """Return the standard deviation of the noise of one channel (H, W), in the units of its values."""
    diagonal = _high_pass(_high_pass(plane.float().mT).mT).abs()
    # Exact zeros come from areas without noise, such as a black border, and are left out.
    sizes = diagonal[diagonal > 0].numpy()
    return float(np.median(sizes)) / MEDIAN_SIZE if sizes.size else 0.0


def _high_pass(values: Tensor) -> Tensor:
    """Return the finest wavelet coefficients of the rows, (..., n) to (..., (n + 3) // 2), mirrored at the ends."""
    padded = torch.cat([values[..., :2].flip(-1), values, values[..., -3:].flip(-1)], -1)
    end = 2 * ((values.shape[-1] + 3) // 2)
    first, second, third, fourth = (
        tap * padded[..., start : start + end : 2] for tap, start in zip(TAPS, (3, 2, 1, 0), strict=True)
    )
    return first + second + third + fourth


def estimate_range(inputs: Tensor) -> NoiseRange | None:
    """Return the range of noise in the first of some training inputs (N, C, H, W), values from 0 to 1.

    Values beyond 0..1 are clipped, as they are in every picture file. Returns None for inputs that are too small.
    """
    estimates = (estimate_noise(picture.clamp(0, 1)) for picture in inputs[:MAX_PICTURES])
    levels = [level for level in estimates if level is not None]
    if not levels:
        return None
    low, high = np.percentile(levels, PERCENTILES)
    return NoiseRange(float(low), float(high))
