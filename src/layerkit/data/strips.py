"""Training pairs that are small crops of large pictures, cut in strips.

An operation on one small crop costs little more than its own start. So crops come in *strips*: those of a strip lie
evenly on a straight line through a picture, which makes all of them together one strided view of it, (n, C, h, w), and
whatever happens to them happens to all at once.
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
"""Twice as many would take a third less time, and training would see half as many places."""
REACH = 3
"""How far a strip may go down and to the right, in crops: what it covers is read as a whole."""

_Option = TypeVar("_Option")


class StripPairs(ABC):
    """Training pairs cut from pictures; see :class:`layerkit.data.dataset.TrainingPairs`.

    Args:
        shape: of a crop, (C, H, W).
        seed: decides everything that is drawn, with the epoch.
        samples: crops in an epoch.
    """

    dtype: torch.dtype = torch.uint8
    """Of what :meth:`strip` returns: 8-bit values or float32 from 0 to 1."""
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
            crops: how many.
            uniform: six numbers from [0, 1) that say where the strip lies: which picture, which of its forms, and the
                ``place`` of :func:`cut_piece`.
            generator: for whatever else is drawn.
        """

    def __len__(self) -> int:
        return self.samples

    def chunk(self, epoch: int, number: int) -> tuple[Tensor, Tensor]:
        """Return inputs and targets of a chunk; see :class:`layerkit.data.dataset.TrainingPairs`."""
        count = min(self.chunk_size, self.samples - number * self.chunk_size)
        return self.cut(count, seeded_generator(self.seed, epoch, number), self.per_strip)

    def cut(self, count: int, generator: torch.Generator, per_strip: int) -> tuple[Tensor, Tensor]:
        """Return inputs and targets of ``count`` crops, float32 (count, C, H, W), values from 0 to 1.

        Every strip has a place of its own. The crops of a strip are ``count / per_strip`` samples apart, so that they
        do not meet in a small mini-batch.
        """
        per_strip = max(1, min(per_strip, count))
        strips = math.ceil(count / per_strip)
        inputs, targets = torch.empty(2, per_strip, strips, *self.shape, dtype=self.dtype)
        for strip, uniform in enumerate(torch.rand(strips, 6, generator=generator).tolist()):
            inputs[:, strip], targets[:, strip] = self.strip(per_strip, uniform, generator)
        inputs, targets = (part.flatten(0, 1)[:count] for part in (inputs, targets))
        return (unit(inputs), unit(targets)) if self.dtype == torch.uint8 else (inputs, targets)


def pick(options: Sequence[_Option], uniform: float) -> _Option:
    """Return the option that a uniform number from [0, 1) falls on."""
    return options[int(uniform * len(options))]


def cut_piece(
    view: Tensor, scale: int, shape: tuple[int, int, int], crops: int, place: Sequence[float]
) -> tuple[Tensor, tuple[int, int]]:
    """Return the piece of a picture that a strip covers, and the steps from crop to crop, down and to the right.

    Args:
        view: the picture, (C, height, width).
        scale: how many pixels of the picture make one of a crop, down and to the right.
        shape: of a crop, (C, H, W).
        crops: in the strip.
        place: four numbers from [0, 1): how far the strip goes, and where it starts, down and to the right.
    """
    (down, rows), (right, columns) = (
        _line(scale * side, length, crops, reach, start)
        for side, length, reach, start in zip(shape[1:], view.shape[1:], place[:2], place[2:], strict=True)
    )
    return view[:, rows, columns], (down, right)


def _line(side: int, length: int, crops: int, reach: float, start: float) -> tuple[int, slice]:
    """Return, for one axis, the step between crops of this side and what all of them cover of the picture's length."""
    step = int(reach * (min(length - side, REACH * side) + 1)) // max(1, crops - 1)
    covered = side + step * (crops - 1)
    first = int(start * (length - covered + 1))
    return step, slice(first, first + covered)


def crops_of(piece: Tensor, scale: int, shape: tuple[int, int, int], crops: int, steps: tuple[int, int]) -> Tensor:
    """Return the crops of a piece, (crops, C, scale * H, scale * W), in its memory; see :func:`cut_piece`."""
    channel, row, column = piece.stride()
    size = (crops, len(piece), scale * shape[1], scale * shape[2])
    return piece.as_strided(size, (steps[0] * row + steps[1] * column, channel, row, column))
