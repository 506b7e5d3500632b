"""How learned tensors start."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def xavier_normal_(weight: Tensor, fan_in: int, fan_out: int, generator: torch.Generator | None) -> Tensor:
    """Fill ``weight`` from N(0, 2 / (fan_in + fan_out)), in place, and return it.

    Glorot and Bengio 2010, "Understanding the difficulty of training deep feedforward neural networks", equation 12
    gives the variance, for which the normal distribution is used as in section II.B of the report.
    """
    return weight.normal_(0.0, math.sqrt(2.0 / (fan_in + fan_out)), generator=generator)
