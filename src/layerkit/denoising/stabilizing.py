"""From Poisson noise to Gaussian noise of one size, and back.

A count z of photons with mean m has the variance m. Its Anscombe transform 2 sqrt(z + 3/8) has a variance close to 1,
whatever m is (Anscombe 1948, "The transformation of Poisson, binomial and negative-binomial data"). So a network that
knows Gaussian noise removes Poisson noise as well. What it gives is the mean of the transform, which is not the
transform of the mean; the way back is the one that is right on average, in the closed form of Mäkitalo and Foi 2011, "A
closed-form approximation of the exact unbiased inverse of the Anscombe variance-stabilizing transformation":

    m = D^2 / 4 + sqrt(3/2) / (4 D) - 11 / (8 D^2) + 5 sqrt(3/2) / (8 D^3) - 1/8
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

_ROOT = math.sqrt(3 / 2)
_LEAST = 2 * math.sqrt(3 / 8)


class Stabilizer:
    """Anscombe's transform of pictures whose white is ``peak`` photons, scaled so that black is 0 and white 255.

    Args:
        peak: photons.

    Attributes:
        level: the standard deviation of the noise after the transform, in units of 8-bit values.
    """

    def __init__(self, peak: float) -> None:
        self.peak = peak
        self.level = 255 / (2 * math.sqrt(peak + 3 / 8) - _LEAST)

    def stabilize(self, pictures: Tensor) -> Tensor:
        """Return pictures, values from 0 to 255, in which the noise is the same everywhere."""
        counts = (pictures * (self.peak / 255)).clamp_(min=-3 / 8)
        return counts.add_(3 / 8).sqrt_().mul_(2).sub_(_LEAST).mul_(self.level)

    def restore(self, stabilized: Tensor) -> Tensor:
        """Return what :meth:`stabilize` was given, on average, of pictures without noise."""
        d = (stabilized / self.level).add_(_LEAST).clamp_(min=_LEAST)
        counts = d.square() / 4 + _ROOT / 4 / d - 11 / 8 / d**2 + 5 / 8 * _ROOT / d**3 - 1 / 8
        return torch.clamp(counts * (255 / self.peak), min=0)
