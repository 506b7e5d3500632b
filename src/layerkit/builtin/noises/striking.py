"""The base class of noises that change some of the pixels, chosen at random, with all their channels."""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor

from layerkit.builtin.noises.drawing import strengths
from layerkit.contracts.fields import NumberOrRange
from layerkit.contracts.noise import Noise

Probability = Annotated[float | tuple[float, float], NumberOrRange(0.0, 0.99, (0, 0.9))]
"""Less than 1, because nothing can be learned from pictures without a single original pixel."""


class StrikingNoise(Noise):
    """A noise that changes some pixels and leaves the others as they are.

    Args:
        probability: the probability that a pixel is changed, or a range (low, high) from which it is drawn uniformly,
            anew for every picture.
    """

    def __init__(self, probability: float | tuple[float, float]) -> None:
        self.probability = probability

    def struck(self, source: Tensor, generator: torch.Generator) -> Tensor:
        """Return which pixels of ``source`` (N, C, H, W) are to be changed, as booleans (N, 1, H, W)."""
        count, _, height, width = source.shape
        shape = (count, 1, height, width)
        uniform = torch.rand(shape, generator=generator, dtype=source.dtype, device=source.device)
        return uniform < strengths(self.probability, source, generator)
