"""Training pairs that are small crops of large pictures, cut in strips.

An operation on one small crop takes little more time than the call itself. So crops are cut in *strips*: the crops of a
strip are evenly spaced on a straight line through a picture. Together they are one strided view of it, (n, C, h, w), so
that each operation works on all of them at once.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TypeVar

import torch
from torch import Tensor

from layerkit.data.pairs import chunk_size, seeded_generator
from layerkit.data.pictures import unit

CROPS_PER_STRIP = 16
"""The number of crops in a strip. Twice as many would take a third less time, but show half as many places."""
REACH = 3
"""How far a strip may extend down and to the right, in crops; the piece that it covers is read as a whole."""

_Option = TypeVar("_Option")


class StripPairs(ABC):
    """Training pairs cut from pictures; see :class:`layerkit.data.dataset.TrainingPairs`.

    Args:
        shape: the shape of a crop, (C, H, W).
        seed: decides, together with the epoch, everything that is drawn.
        samples: crops in an epoch.
    """

    dtype: torch.dtype = torch.uint8
    """The dtype of the tensors that :meth:`strip` returns: uint8, or float32 from 0 to 1."""
    per_strip: int = CROPS_PER_STRIP
    """Crops in a strip of a chunk."""

    def __init__(self, shape: tuple[int, int, int], seed: int, samples: int) -> None:
        self.shape = shape
        self.seed = seed
        self.samples = samples
        self.chunk_size = chunk_size(shape)

    @abstractmethod
    def strip(self, crops: int, uniform: Sequence[float], generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return inputs and targets of one strip, (crops, C, H, W) each.

        Args:
            crops: the number of crops.
            uniform: six numbers from [0, 1) that choose the picture, its form, and the ``place`` of :func:`cut_piece`.
            generator: the source of all other random numbers.
        """

    def __len__(self) -> int:
        return self.samples

    def chunk(self, epoch: int, number: int) -> tuple[Tensor, Tensor]:
        """Return inputs and targets of a chunk; see :class:`layerkit.data.dataset.TrainingPairs`."""
        count = min(self.chunk_size, self.samples - number * self.chunk_size)
        return self.cut(count, seeded_generator(self.seed, epoch, number), self.per_strip)

    def cut(self, count: int, generator: torch.Generator, per_strip: int) -> tuple[Tensor, Tensor]:
        """Return inputs and targets of ``count`` crops, float32 (count, C, H, W), values from 0 to 1.

        Every strip has a random place of its own. The crops of a strip are ``count / per_strip`` samples apart, so that
        a small mini-batch does not have several of them.
        """
        per_strip = max(1, min(per_strip, count))
        strips = math.ceil(count / per_strip)
        inputs, targets = torch.empty(2, per_strip, strips, *self.shape, dtype=self.dtype)
        for strip, uniform in enumerate(torch.rand(strips, 6, generator=generator).tolist()):
            inputs[:, strip], targets[:, strip] = self.strip(per_strip, uniform, generator)
        inputs, targets = (part.flatten(0, 1)[:count] for part in (inputs, targets))
        return (unit(inputs), unit(targets)) if self.dtype == torch.uint8 else (inputs, targets)


def pick(options: Sequence[_Option], uniform: float) -> _Option:
    """Return the option that a uniform number from [0, 1) selects."""
    return options[int(uniform * len(options))]


def cut_piece(
    view: Tensor, scale: int, shape: tuple[int, int, int], crops: int, place: Sequence[float]
) -> tuple[Tensor, tuple[int, int]]:
    """Return the piece of a picture that a strip covers, and the steps from crop to crop, down and to the right.

    Args:
        view: the picture, (C, height, width).
        scale: how many pixels of the picture, along each side, make one pixel of a crop.
        shape: the shape of a crop, (C, H, W).
        crops: the number of crops in the strip.
        place: four numbers from [0, 1): how far the strip extends, and where it starts, down and to the right.
    """
    (down, rows), (right, columns) = (
        _line(scale * side, length, crops, reach, start)
        for side, length, reach, start in zip(shape[1:], view.shape[1:], place[:2], place[2:], strict=True)
    )
    return view[:, rows, columns], (down, right)


def _line(side: int, length: int, crops: int, reach: float, start: float) -> tuple[int, slice]:
    """Return, for one axis, the step between crops of this side, and the range of the picture that they cover."""
    step = int(reach * (min(length - side, REACH * side) + 1)) // max(1, crops - 1)
    covered = side + step * (crops - 1)
    first = int(start * (length - covered + 1))
    return step, slice(first, first + covered)


def crops_of(piece: Tensor, scale: int, shape: tuple[int, int, int], crops: int, steps: tuple[int, int]) -> Tensor:
    """Return a view of the crops of a piece, (crops, C, scale * H, scale * W); see :func:`cut_piece`."""
    channel, row, column = piece.stride()
    size = (crops, len(piece), scale * shape[1], scale * shape[2])
    return piece.as_strided(size, (steps[0] * row + steps[1] * column, channel, row, column))
