"""Shot noise: ``y = Poisson(peak * x) / peak``, independent in every value.

It models a sensor that counts ``peak`` photons on average where the picture is white (x = 1). The mean of y is x and
its variance x / peak, so bright places are the noisiest, and a small peak means a dark scene. Nothing is clipped,
because Noise2Noise (Lehtinen et al. 2018, section 3.2) needs noise without a bias. The paper calls the peak lambda.
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
        description="Photons counted on average for a white value: the fewer, the more noise. From a range [low, high] "
        "it is drawn uniformly, anew for every picture."
    )

    example: ClassVar[dict[str, Any]] = {"peak": 30.0}

    def build(self) -> Poisson:
        return Poisson(self.peak)


class Poisson(Noise):
    """Counts photons: ``Poisson(peak * x) / peak``.

    Args:
        peak: photons counted on average for a white value, or a range (low, high) from which it is drawn uniformly,
            anew for every picture.
    """

    def __init__(self, peak: float | tuple[float, float]) -> None:
        self.peak = peak

    def draw(self, source: Tensor, generator: torch.Generator) -> Tensor:
        """Return ``Poisson(peak * source) / peak``; (N, C, H, W) in, the same shape and dtype out."""
        peak = strengths(self.peak, source, generator)
        return torch.poisson(source * peak, generator=generator).div_(peak)
