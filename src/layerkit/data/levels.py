"""Pairs with one more channel that tells the network how strong the noise is, as in FFDNet.

The last channel of an input is a plane whose pixels all have the standard deviation of the noise as their value, for
pictures with values from 0 to 1 (Zhang, Zuo, Zhang 2018, "FFDNet: toward a fast and flexible solution for CNN-based
image denoising", section III-A). The level is computed from the pair: the difference of two independent noisy versions
a and b of one picture has twice the variance of the noise, so the level is sqrt(mean (a - b)^2 / 2). If the target is
clean, the difference has the variance of the noise itself.

The target has the same plane as the input, so the network learns to return the plane unchanged.
"""

from __future__ import annotations

import torch
from torch import Tensor

from layerkit.data.dataset import Dataset, TrainingPairs, Validation


class LeveledPairs:
    """Training pairs whose inputs and targets have the noise level as one more channel.

    Args:
        pairs: pairs of noisy pictures (n, C, H, W).
        clean_targets: whether the targets are clean.
    """

    def __init__(self, pairs: TrainingPairs, clean_targets: bool) -> None:
        self.pairs, self.clean_targets, self.chunk_size = pairs, clean_targets, pairs.chunk_size

    def __len__(self) -> int:
        return len(self.pairs)

    def chunk(self, epoch: int, number: int) -> tuple[Tensor, Tensor]:
        """Return inputs and targets of one chunk, float32 (n, C + 1, H, W)."""
        noisy, target = self.pairs.chunk(epoch, number)
        level = levels(noisy, target, self.clean_targets)
        return with_level(noisy, level), with_level(target, level)


def leveled(dataset: Dataset, clean_targets: bool) -> Dataset:
    """Return a data set of pictures with the level of their noise as one more channel.

    The clean pictures for validation have no such channel, because the network's last channel is not measured.
    """
    train, validation = dataset.train, dataset.validation
    if train is not None:
        train = LeveledPairs(train, clean_targets)
    if validation is not None:
        noisy, clean, again = validation
        if clean is not None:
            level = levels(noisy, clean, True)
            validation = Validation(with_level(noisy, level), clean)
        elif again is not None:
            level = levels(noisy, again, False)
            validation = Validation(with_level(noisy, level), None, again)
    return Dataset(train, validation, dataset.description, dataset.validation_description)


def levels(noisy: Tensor, other: Tensor, clean: bool) -> Tensor:
    """Return the standard deviation of the noise of each picture, (n,), for values from 0 to 1.

    Args:
        noisy: (n, C, H, W).
        other: the same pictures with independent noise, NaN where that is unknown, or without noise.
        clean: whether ``other`` is without noise.
    """
    variance = (noisy - other).square().nanmean((1, 2, 3))
    return (variance if clean else variance / 2).sqrt()


def with_level(pictures: Tensor, level: Tensor | float) -> Tensor:
    """Return pictures (n, C, H, W) with the level of each as one more channel, (n, C + 1, H, W)."""
    n, _, height, width = pictures.shape
    plane = torch.as_tensor(level, dtype=pictures.dtype, device=pictures.device).expand(n)
    return torch.cat([pictures, plane[:, None, None, None].expand(n, 1, height, width)], 1)
