"""Shot noise: ``y = Poisson(peak * x) / peak``, independent in every value.

A value x is what a sensor would count if pure white were ``peak`` photons on average. The mean of y is x and its
variance x / peak, so that bright places are the noisiest, and a small peak is a dark scene. Nothing is clipped:
Noise2Noise (Lehtinen et al. 2018, section 3.2) needs noise without a bias. The paper's lambda is the peak.
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

MIN_PEAK, MAX_PEAK = 1.0, 10_000.0


class PoissonSpec(NoiseSpec):
    """Shot noise of counted photons: y = Poisson(peak * x) / peak, independent in every value, not clipped."""

    type: Literal["poisson"] = Field(description="The noise of counted photons.")
    peak: Annotated[float | tuple[float, float], NumberOrRange(MIN_PEAK, MAX_PEAK, (1, 50))] = Field(
        description="Photons that a pure white value counts on average: the fewer, the more noise. A range [low, high] "
        "is drawn from uniformly, anew for every picture."
    )

    example: ClassVar[dict[str, Any]] = {"peak": 30.0}

    def build(self) -> Poisson:
        return Poisson(self.peak)


class Poisson(Noise):
    """Counts photons: ``Poisson(peak * x) / peak``.

    Args:
        peak: photons of a white value on average, or a range (low, high) from which each picture's own is drawn
            uniformly.
    """

    def __init__(self, peak: float | tuple[float, float]) -> None:
        self.peak = peak

    def draw(self, source: Tensor, generator: torch.Generator) -> Tensor:
        """Return ``Poisson(peak * source) / peak``; (N, C, H, W) in, the same shape and dtype out."""
        peak = strengths(self.peak, source, generator)
        return torch.poisson(source * peak, generator=generator).div_(peak)
