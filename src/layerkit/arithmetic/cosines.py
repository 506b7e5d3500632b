"""The orthonormal discrete cosine transform (the one of type II), as a matrix."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def cosines(length: int) -> Tensor:
    """Return the functions of the orthonormal discrete cosine transform, float64 (length, length), one a row."""
    places = torch.arange(length, dtype=torch.float64, device="cpu")
    functions = torch.cos(math.pi / length * places[:, None] * (places + 0.5)) * math.sqrt(2 / length)
    functions[0] /= math.sqrt(2)
    return functions
