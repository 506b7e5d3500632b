"""Missing pixels: ``y = m * x`` with m = 0 with a probability p and 1 otherwise, one m for all channels of a pixel.

The multiplicative Bernoulli noise of Noise2Noise (Lehtinen et al. 2018, section 3.2). It is known which pixels of a
target are missing, and a loss that counted them would pull the prediction towards black. So missing pixels of a target
are NaN, and the loss ``masked`` counts only the known ones, whose mean is the clean picture. The network's input has 0
in their place.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from layerkit.builtin.noises.striking import Probability, StrikingNoise
from layerkit.contracts.specs import NoiseSpec


class BernoulliSpec(NoiseSpec):
    """Missing pixels: y = m * x, m = 0 with a probability, for all channels of a pixel at once.

    Targets mark missing pixels as unknown, so the loss must be ``masked``.
    """

    masks_targets = True

    type: Literal["bernoulli"] = Field(description="Pixels that are missing.")
    probability: Probability = Field(
        description="The probability that a pixel is missing; from a range [low, high] it is drawn uniformly, anew for "
        "every picture."
    )

    example: ClassVar[dict[str, Any]] = {"probability": 0.5}

    def build(self) -> Bernoulli:
        return Bernoulli(self.probability)


class Bernoulli(StrikingNoise):
    """Removes random pixels."""

    def draw(self, source: Tensor, generator: torch.Generator) -> Tensor:
        """Return ``source`` with 0 in place of missing pixels."""
        return source.masked_fill(self.struck(source, generator), 0.0)

    def target(self, source: Tensor, generator: torch.Generator) -> Tensor:
        """Return ``source`` with NaN in place of missing pixels."""
        return source.masked_fill(self.struck(source, generator), math.nan)
