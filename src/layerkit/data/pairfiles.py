"""Code that all data files of pairs share: the training pairs, and the checks of each array.

All hold arrays (N, C, H, W), two for training and two for validation: see :mod:`layerkit.data.picklefiles` and
:mod:`layerkit.data.npzfiles`. Neither kind is ever opened in a way that would run code from the file.
"""

from __future__ import annotations

import math
from pathlib import Path

import torch
from torch import Tensor

from layerkit.data.dataset import Request
from layerkit.data.pairs import chunk_size, seeded_generator
from layerkit.data.pictures import unit
from layerkit.errors import DataError

MAX_VALUES = 2**32
"""The most values in one array of bytes; arrays of floats may have an eighth. The course's largest has 154 million."""
RANGE = "range"
"""The name of the number in an ``.npz`` file that is the upper end of the range of its floats."""


class FilePairs:
    """Training pairs from two tensors (N, C, H, W), uint8 or float32 from 0 to 1; each epoch has its own random order.

    Args:
        inputs: the network's inputs.
        targets: the pictures that the outputs are compared with.
        seed: decides the order, together with the epoch.
        samples: pairs in an epoch, at most N; if fewer, each epoch uses different ones.
    """

    def __init__(self, inputs: Tensor, targets: Tensor, seed: int, samples: int) -> None:
        self.inputs = inputs
        self.targets = targets
        self.seed = seed
        self.samples = min(samples, len(inputs))
        self.chunk_size = chunk_size(inputs.shape[1:])
        self._order = (-1, torch.empty(0))

    def __len__(self) -> int:
        return self.samples

    def chunk(self, epoch: int, number: int) -> tuple[Tensor, Tensor]:
        """Return inputs and targets of a chunk; see :class:`layerkit.data.dataset.TrainingPairs`."""
        known, order = self._order  # a cache, since the order is a function of seed and epoch
        if known != epoch:
            order = torch.randperm(len(self.inputs), generator=seeded_generator(self.seed, epoch))
            self._order = epoch, order
        first = number * self.chunk_size
        chosen = order[first : min(first + self.chunk_size, self.samples)]
        return as_unit(self.inputs[chosen]), as_unit(self.targets[chosen])


def as_unit(values: Tensor) -> Tensor:
    """Return bytes as float32 from 0 to 1; other values already are."""
    return unit(values) if values.dtype == torch.uint8 else values


def check(subject: str, dtype: str, shape: tuple[int, ...], request: Request, floats: bool = False) -> None:
    """Make sure that an array holds pictures of the network's size.

    Args:
        subject: the name of the array in the error.
        dtype: the dtype of its values.
        shape: the shape of the whole array.
        request: has the size of the network's input.
        floats: whether it may hold floats instead of bytes.

    Raises:
        DataError: when it does not.
    """
    if (dtype != "uint8" and not floats) or len(shape) != 4:
        wanted = "float" if floats else "uint8"
        remedy = f'; floats are read from an .npz file with "{RANGE}"' if "float" in dtype and not floats else ""
        raise DataError(f"{subject}: expected {wanted} values (N, C, H, W), found {dtype} {shape}{remedy}")
    if shape[0] == 0:
        raise DataError(f"{subject}: holds no pictures")
    most = MAX_VALUES // 8 if floats else MAX_VALUES
    if math.prod(shape) > most:
        raise DataError(f"{subject}: {shape} is more than {most:,} values; split the file")
    if tuple(shape[1:]) != tuple(request.shape):
        found, expected = ("x".join(map(str, sizes)) for sizes in (shape[1:], request.shape))
        raise DataError(
            f"{subject}: pictures are {found} (C x H x W), but the network's input is {expected}; "
            'change "input", or use pictures of its size'
        )


def check_equal(path: Path, subject: str, first: Tensor, second: Tensor) -> None:
    """Make sure that two arrays have the same shape.

    Raises:
        DataError: when they do not; ``subject`` is their name in the message.
    """
    if first.shape != second.shape:
        raise DataError(
            f"{path}: {subject} must have the same shape, found {tuple(first.shape)}, {tuple(second.shape)}"
        )


def share(used: int, total: int) -> str:
    """Return a phrase such as "100 of 1,000" for how many are used, or one number if all are."""
    return f"{used:,}" if used == total else f"{used:,} of {total:,}"


def joined(*texts: str) -> str:
    """Return the descriptions of the parts of a data set as one phrase; missing parts have an empty description."""
    return " and ".join(text for text in texts if text)
