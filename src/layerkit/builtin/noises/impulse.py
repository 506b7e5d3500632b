"""Impulse noise with random values: a pixel becomes a random colour with a probability p, and stays as it is otherwise.

    y = (1 - m) x + m u        m = 1 with probability p, for all channels of a pixel; u uniform in 0..1, for each one

The mean of many such pictures is (1 - p) x + p / 2, greyer than the clean one, so a squared error learns grey pictures.
The median is x for p <= 1/2, and the mode is x for every p below 1. Therefore Noise2Noise (Lehtinen et al. 2018,
section 3.2) uses an approximation of the L0 loss, which finds the mode.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from layerkit.builtin.noises.striking import Probability, StrikingNoise
from layerkit.contracts.specs import NoiseSpec


class ImpulseSpec(NoiseSpec):
    """Pixels of a random colour: y = u with a probability, u uniform in 0..1 for every channel; y = x otherwise.

    Its mean is not the clean picture. The loss ``l1``, which finds the median, suits probabilities up to 0.5, and
    ``annealed_l0``, which finds the most frequent value, suits all.
    """

    unbiased = False

    type: Literal["impulse"] = Field(description="Pixels of a random colour.")
    probability: Probability = Field(
        description="The probability that a pixel is replaced; from a range [low, high] it is drawn uniformly, anew "
        'for every picture. Up to 0.5 the loss "l1" is suitable, above it only "annealed_l0".'
    )

    example: ClassVar[dict[str, Any]] = {"probability": 0.5}

    def build(self) -> Impulse:
        return Impulse(self.probability)


class Impulse(StrikingNoise):
    """Gives pixels a random colour."""

    def draw(self, source: Tensor, generator: torch.Generator) -> Tensor:
        """Return ``source`` with a uniformly random colour in some pixels."""
        struck = self.struck(source, generator)
        colours = torch.rand(source.shape, generator=generator, dtype=source.dtype, device=source.device)
        return torch.where(struck, colours, source)
