"""Draws how strong a noise is in each picture, for several noises."""

from __future__ import annotations

import torch
from torch import Tensor


def strengths(
    number_or_range: float | tuple[float, float], source: Tensor, generator: torch.Generator
) -> Tensor | float:
    """Return how strong a noise is in each picture of ``source`` (N, C, H, W).

    That is the number itself, or (N, 1, 1, 1) drawn uniformly from the range (low, high), anew for every picture.
    """
    if not isinstance(number_or_range, tuple):
        return number_or_range
    low, high = number_or_range
    shape = (source.shape[0], 1, 1, 1)
    uniform = torch.rand(shape, generator=generator, dtype=source.dtype, device=source.device)
    return uniform.mul_(high - low).add_(low)
