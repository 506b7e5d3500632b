"""How learned tensors start."""

from __future__ import annotations

import math
from typing import TypedDict

import torch
from torch import Tensor

from layerkit.contracts.fields import FloatDtype


class Start(TypedDict, total=False):
    """What every layer that learns can be told about its parameters.

    Attributes:
        dtype, device: of the parameters; torch's defaults when None.
        generator: source of the initial weights; torch's default generator when None.
    """

    dtype: FloatDtype | None
    device: torch.device | str | None
    generator: torch.Generator | None


def xavier_normal(
    shape: tuple[int, ...],
    fan_in: int,
    fan_out: int,
    order: tuple[int, ...] | None = None,
    *,
    dtype: torch.dtype | None = None,
    device: torch.device | str | None = None,
    generator: torch.Generator | None = None,
    gain: float = 1.0,
) -> Tensor:
    """Return a tensor of ``shape`` drawn from N(0, gain^2 2 / (fan_in + fan_out)).

    Glorot and Bengio 2010, "Understanding the difficulty of training deep feedforward neural networks", equation 12
    gives the variance, for which the normal distribution is used as in section II.B of the report.

    Args:
        shape: of the tensor.
        fan_in, fan_out: inputs that an output comes from, and outputs that an input goes to.
        order: of the dimensions in memory, outermost first; as they come when None.
        dtype, device, generator: see :class:`Start`.
        gain: what the initial weights are multiplied by. A small one at the end of a residual connection lets a deep
            network start close to passing its input on, and learn faster (Zhang, Dauphin, Ma 2019, "Fixup
            initialization").
    """
    order = order or tuple(range(len(shape)))
    in_memory = torch.empty([shape[dim] for dim in order], dtype=dtype, device=device)
    weight = in_memory.permute([order.index(dim) for dim in range(len(shape))])
    return weight.normal_(0.0, gain * math.sqrt(2.0 / (fan_in + fan_out)), generator=generator)
