"""Additive Gaussian noise: ``y = x + n`` with ``n ~ N(0, (sigma / 255)^2)``, independent in every value.

``sigma`` is in units of 8-bit values, as in denoising papers: 25 means 25 of 255. The sum is not clipped to 0..1,
because clipping shifts the mean near black and white, and Noise2Noise needs noise without a bias.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from layerkit.builtin.noises.drawing import strengths
from layerkit.contracts.fields import NumberOrRange
from layerkit.contracts.noise import Noise
from layerkit.contracts.specs import NoiseSpec

MAX_SIGMA = 255.0


class GaussianSpec(NoiseSpec):
    """Additive Gaussian noise: y = x + N(0, (sigma / 255)^2), independent in every pixel and channel, not clipped."""

    type: Literal["gaussian"] = Field(description="Additive Gaussian noise.")
    sigma: Annotated[float | tuple[float, float], NumberOrRange(0.0, MAX_SIGMA, (0, 50))] = Field(
        description="Standard deviation in units of 8-bit values (25 is 25/255); from a range [low, high] it is drawn "
        "uniformly, anew for every picture."
    )

    example: ClassVar[dict[str, Any]] = {"sigma": 25.0}

    def build(self) -> Gaussian:
        return Gaussian(self.sigma)


class Gaussian(Noise):
    """Adds ``N(0, (sigma / 255)^2)`` to every value.

    Args:
        sigma: standard deviation in units of 8-bit values, or a range (low, high) from which it is drawn uniformly,
            anew for every picture.
    """

    def __init__(self, sigma: float | tuple[float, float]) -> None:
        self.sigma = sigma

    def draw(self, source: Tensor, generator: torch.Generator) -> Tensor:
        """Return ``source + n``; (N, C, H, W) in, the same shape and dtype out."""
        noise = torch.randn(source.shape, generator=generator, dtype=source.dtype, device=source.device)
        sigma = strengths(self.sigma, source, generator)
        return noise.mul_(sigma / 255).add_(source)
