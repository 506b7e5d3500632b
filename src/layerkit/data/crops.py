"""Training pairs from pictures: crops at random places, each with two independent draws of noise.

An operation on one small crop costs little more than its own start. So crops come in *strips*: those of a strip lie
evenly on a straight line through a picture, which makes all of them together one strided view of it, (n, C, h, w),
and noise is drawn on the view at once, for every crop its own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from layerkit.contracts.noise import Noise
from layerkit.data.pairs import chunk_size, seeded_generator

CROPS_PER_STRIP = 16
"""Twice as many would take a third less time, and training would see half as many places."""
REACH = 3
"""How far a strip may go down and to the right, in crops: what it covers is read as a whole."""

Views = Sequence[Sequence[Tensor]]
"""For every picture the forms in which it may be shown (sizes, mirrored, ...), uint8 (C, height, width)."""


class PictureCrops:
    """Training pairs cut from pictures; see :class:`layerkit.data.dataset.TrainingPairs`.

    Args:
        views: the pictures' forms, each at least ``noise.scale`` times as high and wide as a crop.
        noise: what makes a crop noisy.
        shape: of a crop, (C, H, W).
        seed: decides places and noise, with the epoch.
        samples: crops in an epoch.
        clean_targets: whether the target is the clean crop instead of a second noisy one.
        recolour: whether the channels change places from strip to strip, so that a network which sees few pictures
            does not learn their colours.
    """

    def __init__(
        self,
        views: Views,
        noise: Noise,
        shape: tuple[int, int, int],
        seed: int,
        samples: int,
        clean_targets: bool = False,
        recolour: bool = False,
    ) -> None:
        self.views = views
        self.noise = noise
        self.shape = shape
        self.seed = seed
        self.samples = samples
        self.clean_targets = clean_targets
        self.recolour = recolour
        self.chunk_size = chunk_size(shape)

    def __len__(self) -> int:
        return self.samples

    def chunk(self, epoch: int, number: int) -> tuple[Tensor, Tensor]:
        """Return two noisy versions, or a noisy and the clean one, of each crop in a chunk."""
        count = min(self.chunk_size, self.samples - number * self.chunk_size)
        generator = seeded_generator(self.seed, epoch, number)
        return cut_crops(
            self.views, self.noise, self.shape, count, generator, CROPS_PER_STRIP, self.clean_targets, self.recolour
        )


def cut_crops(
    views: Views,
    noise: Noise,
    shape: tuple[int, int, int],
    count: int,
    generator: torch.Generator,
    per_strip: int,
    clean_targets: bool,
    recolour: bool = False,
) -> tuple[Tensor, Tensor]:
    """Return (inputs, targets) of ``count`` crops, float32 (count, C, H, W) each: noisy, and noisy anew or clean.

    In noisy targets NaN stands for what is unknown, see :meth:`layerkit.contracts.noise.Noise.target`.

    For every strip a picture is chosen uniformly, then one of its views, then a place. The crops of a strip are
    ``count / per_strip`` samples apart, so that they do not meet in a small batch.
    """
    per_strip = max(1, min(per_strip, count))
    strips = math.ceil(count / per_strip)
    # Pixels that are only picked stay bytes until then: to convert all of a strip would take most of the time.
    as_bytes = noise.picks_pixels and not clean_targets
    inputs, targets = torch.empty(2, per_strip, strips, *shape, dtype=torch.uint8 if as_bytes else torch.float32)
    choices = torch.rand(strips, 6, generator=generator).tolist()
    for strip, (picture, view, *place) in enumerate(choices):
        order = torch.randperm(shape[0], generator=generator) if recolour else None
        piece, steps = cut_piece(_pick(_pick(views, picture), view), noise.scale, shape, per_strip, place)
        if not as_bytes:
            piece = _unit(piece if order is None else piece[order])
        source = crops_of(piece, noise.scale, shape, per_strip, steps)
        noisy = noise.draw(source, generator)
        target = noise.clean(source) if clean_targets else noise.target(source, generator)
        if as_bytes and order is not None:
            noisy, target = noisy.index_select(1, order), target.index_select(1, order)
        inputs[:, strip], targets[:, strip] = noisy, target
    inputs, targets = (part.flatten(0, 1)[:count] for part in (inputs, targets))
    return (_unit(inputs), _unit(targets)) if as_bytes else (inputs, targets)


def _unit(values: Tensor) -> Tensor:
    """Return 8-bit values as float32 from 0 to 1."""
    return values.float().mul_(1 / 255)


def _pick(options: Sequence, uniform: float) -> Sequence:
    """Return the option that a uniform number from [0, 1) falls on."""
    return options[int(uniform * len(options))]


def cut_piece(
    view: Tensor, scale: int, shape: tuple[int, int, int], crops: int, place: Sequence[float]
) -> tuple[Tensor, tuple[int, int]]:
    """Return the piece of a view that a strip covers, and the steps from crop to crop, down and to the right.

    ``place`` has four uniform numbers from [0, 1): how far the strip goes and where it starts, down and to the right.
    """
    steps, slices = [], []
    for side, length, reach, start in zip(shape[1:], view.shape[1:], place[:2], place[2:], strict=True):
        side *= scale
        step = int(reach * (min(length - side, REACH * side) + 1)) // max(1, crops - 1)
        covered = side + step * (crops - 1)
        first = int(start * (length - covered + 1))
        steps.append(step)
        slices.append(slice(first, first + covered))
    return view[:, slices[0], slices[1]], tuple(steps)


def crops_of(piece: Tensor, scale: int, shape: tuple[int, int, int], crops: int, steps: tuple[int, int]) -> Tensor:
    """Return the crops (crops, C, scale * H, scale * W) of a piece, in its memory."""
    channel, row, column = piece.stride()
    size = (crops, shape[0], scale * shape[1], scale * shape[2])
    return piece.as_strided(size, (steps[0] * row + steps[1] * column, channel, row, column))
