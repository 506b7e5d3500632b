"""Limits what is removed from a picture to the amount of its noise.

A network may mistake fine details for noise. But the amount of noise is known: let r be the change that a network makes
to a noisy picture, and s^2 the variance of the noise. If exactly the noise is removed, the mean of r^2 is about s^2; if
it is larger, details are removed too. If r = -n + e, with n the noise and e an independent error, then the multiple a r
with

    a = s^2 / mean r^2 = s^2 / (s^2 + mean e^2)

has the smallest squared error, as in Wiener's filter. The mean is taken over a window around each pixel and over all
channels, and a is never more than 1.
"""

from __future__ import annotations

import torch
from torch import Tensor

WINDOW = 9
"""Height and width of the window, in pixels."""


def within_budget(noisy: Tensor, denoised: Tensor, level: float | Tensor) -> Tensor:
    """Return pictures (N, C, H, W) between the noisy and the denoised ones, with only the amount of noise removed.

    Args:
        noisy, denoised: (N, C, H, W).
        level: the standard deviation of the noise, in the same units; where it differs, (N, 1, H, W).
    """
    removed = denoised - noisy
    energy = box_mean(removed.square().mean(1, keepdim=True), WINDOW)
    share = (level**2 / energy.clamp_(min=1e-12)).clamp_(max=1)
    return removed.mul_(share).add_(noisy)


def box_mean(values: Tensor, side: int) -> Tensor:
    """Return the mean over the window of ``side`` x ``side`` pixels around each, (..., H, W); windows end at edges."""
    for dim in (-1, -2):
        length = values.shape[dim]
        # In double precision: sums over a long row would swallow single pixels.
        sums = values.double().cumsum(dim)
        sums = torch.cat([torch.zeros_like(sums.narrow(dim, 0, 1)), sums], dim)
        middle = torch.arange(length, device=values.device)
        first, last = (middle - side // 2).clamp_(min=0), (middle + side // 2 + 1).clamp_(max=length)
        count = (last - first).view(-1, 1) if dim == -2 else last - first
        values = ((sums.index_select(dim, last) - sums.index_select(dim, first)) / count).to(values.dtype)
    return values
