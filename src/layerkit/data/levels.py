"""Pairs with a plane that tells the network how strong the noise is, as FFDNet has it.

Every pixel of the plane, the last channel of an input, is the standard deviation of the noise, 1 standing for 255 of
255 (Zhang, Zuo, Zhang 2018, "FFDNet: toward a fast and flexible solution for CNN-based image denoising", section
III-A). Whatever the noise is, a pair tells how strong: the difference of two independent versions a and b of one
picture has twice the variance of either, so that the level is sqrt(mean (a - b)^2 / 2). Where the target is clean, the
difference has the variance of the noise itself.

The network gives the plane back, and so does the target, where it is the same: what a network adds to it is nothing.
"""

from __future__ import annotations

import torch
from torch import Tensor

from layerkit.data.dataset import Dataset, TrainingPairs, Validation


class LeveledPairs:
    """Training pairs whose inputs and targets have the level as one more channel.

    Args:
        pairs: of noisy pictures (n, C, H, W).
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

    What validation compares with has no such channel, for it is not judged.
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
    """Return how strong the noise of each picture is, (n,), 1 standing for 255 of 255.

    Args:
        noisy: (n, C, H, W).
        other: the same pictures with independent noise, NaN where that is unknown, or without any.
        clean: whether they are without.
    """
    variance = (noisy - other).square().nanmean((1, 2, 3))
    return (variance if clean else variance / 2).sqrt()


def with_level(pictures: Tensor, level: Tensor | float) -> Tensor:
    """Return pictures (n, C, H, W) with the level of each as one more channel, (n, C + 1, H, W)."""
    n, _, height, width = pictures.shape
    plane = torch.as_tensor(level, dtype=pictures.dtype, device=pictures.device).expand(n)
    return torch.cat([pictures, plane[:, None, None, None].expand(n, 1, height, width)], 1)
