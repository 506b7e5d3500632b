"""The initialization of learned tensors."""

from __future__ import annotations

import math
from typing import TypedDict

import torch
from torch import Tensor

from layerkit.contracts.fields import FloatDtype


class Start(TypedDict, total=False):
    """The arguments that every layer with parameters accepts for them.

    Attributes:
        dtype, device: the dtype and device of the parameters; torch's defaults when None.
        generator: the source of the initial weights; torch's default generator when None.
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

    The variance is equation 12 of Glorot and Bengio 2010, "Understanding the difficulty of training deep feedforward
    neural networks"; the distribution is normal as in section II.B of the report.

    Args:
        shape: the shape of the tensor.
        fan_in, fan_out: the number of inputs that one output depends on, and of outputs that one input affects.
        order: the order of the dimensions in memory, outermost first; None keeps them as they are.
        dtype, device, generator: see :class:`Start`.
        gain: a factor for the initial weights. With a small gain in the last layer of each residual connection, a deep
            network starts close to the identity and learns faster (Zhang, Dauphin, Ma 2019, "Fixup initialization").
    """
    order = order or tuple(range(len(shape)))
    in_memory = torch.empty([shape[dim] for dim in order], dtype=dtype, device=device)
    weight = in_memory.permute([order.index(dim) for dim in range(len(shape))])
    return weight.normal_(0.0, gain * math.sqrt(2.0 / (fan_in + fan_out)), generator=generator)
