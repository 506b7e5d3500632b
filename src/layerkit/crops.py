"""Training pairs from pictures: crops at random places, each with two independent draws of noise.

Noise is drawn on *plates*, pieces of a picture that are larger than a crop, because an operation on many small crops
costs more than the same on a few plates. Several crops are cut from a plate; there are as many copies of it, each with
noise of its own, as it takes for the crops to have about as many pixels as the plates they come from.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from layerkit.noise import Noise
from layerkit.pairs import chunk_size, seeded_generator

CROPS_PER_PLATE = 32

Views = Sequence[Sequence[Tensor]]
"""For every picture the forms in which it may be shown (sizes, mirrored, ...), uint8 (C, height, width)."""


class PictureCrops:
    """Training pairs cut from pictures; see :class:`layerkit.pairs.TrainingPairs`.

    Args:
        views: the pictures' forms, each at least ``noise.scale`` times as high and wide as a crop.
        noise: what makes a crop noisy.
        shape: of a crop, (C, H, W).
        seed: decides places and noise, with the epoch.
        samples: crops in an epoch.
        clean_targets: whether the target is the clean crop instead of a second noisy one.
    """

    def __init__(
        self,
        views: Views,
        noise: Noise,
        shape: tuple[int, int, int],
        seed: int,
        samples: int,
        clean_targets: bool = False,
    ) -> None:
        self.views = views
        self.noise = noise
        self.shape = shape
        self.seed = seed
        self.samples = samples
        self.clean_targets = clean_targets
        self.chunk_size = chunk_size(shape)

    def __len__(self) -> int:
        return self.samples

    def chunk(self, epoch: int, number: int) -> tuple[Tensor, Tensor]:
        """Return two noisy versions, or a noisy and the clean one, of each crop in a chunk."""
        count = min(self.chunk_size, self.samples - number * self.chunk_size)
        generator = seeded_generator(self.seed, epoch, number)
        return cut_crops(
            self.views, self.noise, self.shape, count, generator, CROPS_PER_PLATE, clean_targets=self.clean_targets
        )


def cut_crops(
    views: Views,
    noise: Noise,
    shape: tuple[int, int, int],
    count: int,
    generator: torch.Generator,
    per_plate: int,
    clean_targets: bool,
) -> tuple[Tensor, Tensor]:
    """Return (inputs, targets) of ``count`` crops, each (count, C, H, W): noisy, and noisy anew or clean.

    A picture is chosen uniformly, then one of its views, then a place. The crops of a plate are ``count / per_plate``
    samples apart, so that they do not meet in a batch.
    """
    per_plate = min(per_plate, count)
    plates = math.ceil(count / per_plate)
    inputs = torch.empty(per_plate, plates, *shape)
    targets = torch.empty(per_plate, plates, *shape)
    choices = torch.rand(plates, 4, generator=generator).tolist()
    places = torch.rand(plates, 3, per_plate, generator=generator)
    for plate, (picture, view, top, left) in enumerate(choices):
        source = _pick(_pick(views, picture), view)
        source = _plate(source, noise.scale, shape, per_plate, top, left)
        noisy = noise.draw(source, generator)
        clean = noise.clean(source[:1]).expand_as(noisy) if clean_targets else noise.draw(source, generator)
        copies, _, height, width = noisy.shape
        ranges = torch.tensor([copies, height - shape[1] + 1, width - shape[2] + 1])
        index = (places[plate] * ranges[:, None]).long().unbind()
        inputs[:, plate] = _cut(noisy, shape, *index)
        targets[:, plate] = _cut(clean, shape, *index)
    return inputs.flatten(0, 1)[:count], targets.flatten(0, 1)[:count]


def _pick(options: Sequence, uniform: float) -> Sequence:
    """Return the option that a uniform number from [0, 1) falls on."""
    return options[int(uniform * len(options))]


def _plate(
    view: Tensor, scale: int, shape: tuple[int, int, int], crops: int, top: float, left: float
) -> Tensor:
    """Return a piece of a view at a random place as float32 (N, C, scale * h, scale * w), N times the same memory."""
    across = math.ceil(math.sqrt(crops))
    slices, sizes = [], []
    for crop, length, uniform in zip(shape[1:], view.shape[1:], (top, left), strict=True):
        # One pixel less than there is room for, so that the place can vary by more than a part of a pixel.
        size = min(across * crop, max(crop, length // scale - 1))
        start = int(uniform * (length - scale * size + 1))
        slices.append(slice(start, start + scale * size))
        sizes.append(size)
    copies = math.ceil(crops * shape[1] * shape[2] / math.prod(sizes))
    # Eight bits until here: they are a quarter of the memory, and reading it is what takes time.
    return view[:, slices[0], slices[1]].float().mul_(1 / 255).expand(copies, -1, -1, -1)


def _cut(plate: Tensor, shape: tuple[int, int, int], copy: Tensor, top: Tensor, left: Tensor) -> Tensor:
    """Return the crops (n, C, H, W) of a plate (N, C, h, w) at n places."""
    return plate.unfold(2, shape[1], 1).unfold(3, shape[2], 1)[copy, :, top, left]
