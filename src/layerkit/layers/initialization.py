"""How learned tensors start."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def kernel_tensor(out_channels: int, in_channels: int, kernel_size: tuple[int, int], **factory: object) -> Tensor:
    """Return an uninitialized weight (out, in, kh, kw) that lies in memory as (out, kh, kw, in).

    A convolution is then a product with the weight as a matrix (out, kh * kw * in) without any copy: see
    :func:`kernel_matrix`.
    """
    return torch.empty(out_channels, *kernel_size, in_channels, **factory).permute(0, 3, 1, 2)


def kernel_matrix(weight: Tensor) -> Tensor:
    """Return a weight of :func:`kernel_tensor` as a matrix (out, kh * kw * in); a view, writable for gradients."""
    return weight.permute(0, 2, 3, 1).view(weight.shape[0], -1)


def xavier_normal_(weight: Tensor, fan_in: int, fan_out: int, generator: torch.Generator | None) -> Tensor:
    """Fill ``weight`` from N(0, 2 / (fan_in + fan_out)), in place, and return it.

    Glorot and Bengio 2010, "Understanding the difficulty of training deep feedforward neural networks", equation 12
    gives the variance, for which the normal distribution is used as in section II.B of the report.
    """
    return weight.normal_(0.0, math.sqrt(2.0 / (fan_in + fan_out)), generator=generator)
