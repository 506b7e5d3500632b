"""Divides pictures between training and validation, and limits the memory that they need.

Whole pictures are divided, not crops: crops of one picture look alike, so validation on crops of training pictures
would not show how well the network generalizes. The division and the validation crops are the same for every run and
seed.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from layerkit.data.dataset import Request
from layerkit.data.pairs import seeded_generator
from layerkit.data.pictures import mirrored
from layerkit.data.strips import StripPairs
from layerkit.errors import DataError

VALIDATION_EVERY = 5
"""One of this many pictures is for validation."""
MAX_BYTES = 2**30
"""The memory for all forms of a folder's pictures, in bytes."""
LEAST_CROPS = 8
"""The memory that every picture gets at least, in crops; if it is not enough for all, some pictures are left out."""
MAX_VALIDATION_VALUES = 2**28
"""The largest number of values in all validation crops together."""
VALIDATION_CROPS_PER_STRIP = 8
"""Crops in a strip for validation: fewer than in training, so that a thousand crops come from many places."""

_SPLIT_STREAM, _CROP_STREAM = (0, 1), (0, 2)


def check_channels(shape: tuple[int, int, int]) -> None:
    """Make sure that pictures have the channels that a network's input (C, H, W) has.

    Raises:
        DataError: when they do not.
    """
    if shape[0] not in (1, 3):
        raise DataError(
            f"pictures have 1 channel (gray) or 3 (RGB), but the network's input has {shape[0]}; "
            'change "input", or train on a file of pairs (.npz)'
        )


def chosen(total: int, crop_bytes: int) -> list[int]:
    """Return the indices of the pictures to use, in a random order: all of them, if there is enough memory.

    Args:
        total: the number of pictures.
        crop_bytes: the bytes that one crop needs.
    """
    order = torch.randperm(total, generator=seeded_generator(*_SPLIT_STREAM)).tolist()
    return list(order[: max(2, MAX_BYTES // (LEAST_CROPS * crop_bytes))])


def room(pictures: int) -> int:
    """Return the bytes that one of ``pictures`` pictures may need in all its forms."""
    return MAX_BYTES // pictures


def halves(pixels: Tensor) -> tuple[Tensor, Tensor]:
    """Return both halves of a picture (C, H, W), cut across its longer side, for training and validation."""
    first, second = pixels.tensor_split(2, 1 if pixels.shape[1] > pixels.shape[2] else 2)
    return first, second


def forms(pixels: Tensor, sides: tuple[int, int], augmented: bool) -> list[Tensor]:
    """Return a picture (C, H, W) in the forms that are at least as high and wide as ``sides``.

    Args:
        pixels: the picture.
        sides: the smallest height and width.
        augmented: whether mirrored and transposed forms are included.
    """
    found = [pixels]
    if augmented:
        found.append(mirrored(pixels))
        found += [form.transpose(1, 2) for form in found]
    return [form for form in found if form.shape[1] >= sides[0] and form.shape[2] >= sides[1]]


def validation_crops(pairs: StripPairs, request: Request) -> tuple[Tensor, Tensor]:
    """Return the inputs and targets for validation, cut from ``pairs``, whose pictures must be for validation."""
    count = min(request.validation_samples, MAX_VALIDATION_VALUES // math.prod(request.shape))
    return pairs.cut(count, seeded_generator(*_CROP_STREAM), VALIDATION_CROPS_PER_STRIP)
