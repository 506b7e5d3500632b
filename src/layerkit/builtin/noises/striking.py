"""What the noises share that strike some of the pixels, each by chance and all channels of it together."""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor

from layerkit.builtin.noises.drawing import strengths
from layerkit.contracts.fields import NumberOrRange
from layerkit.contracts.noise import Noise

Probability = Annotated[float | tuple[float, float], NumberOrRange(0.0, 0.99, (0, 0.9))]
"""Never 1: of pictures without a pixel there is nothing to learn."""


class StrikingNoise(Noise):
    """A noise that leaves most pixels as they are and does something to the others.

    Args:
        probability: with which a pixel is struck, or a range (low, high) from which each picture's own is drawn
            uniformly.
    """

    def __init__(self, probability: float | tuple[float, float]) -> None:
        self.probability = probability

    def struck(self, source: Tensor, generator: torch.Generator) -> Tensor:
        """Return which pixels of ``source`` (N, C, H, W) are struck, as booleans (N, 1, H, W)."""
        count, _, height, width = source.shape
        shape = (count, 1, height, width)
        uniform = torch.rand(shape, generator=generator, dtype=source.dtype, device=source.device)
        return uniform < strengths(self.probability, source, generator)
