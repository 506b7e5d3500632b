"""The data set "variety": many kinds of pictures made from a few photographs, to train networks for general use.

It has photographs and dead-leaves pictures made from them, in several sizes, mirrored and turned. Colours, contrast and
brightness change from strip to strip. Some strips are grey with the same noise in all three channels, like grey
pictures that are denoised by a network for colour. Some inputs are rounded and clipped, as in a picture file of 8 bits;
targets never are, because clipping shifts the mean of the noise.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from layerkit.data.crops import PictureCrops
from layerkit.data.dataset import Dataset, Request, Validation
from layerkit.data.leaves import dead_leaves
from layerkit.data.pairs import seeded_generator
from layerkit.data.photographs import TRAINING, VALIDATION, read_photograph
from layerkit.data.picturefolder import views
from layerkit.data.pictures import unit, with_channels
from layerkit.data.splits import check_channels, validation_crops
from layerkit.data.strips import crops_of, cut_piece, pick
from layerkit.errors import DataError

MORE = (
    ("layerkit", "data/photos/raccoon.jpg"),  # public-domain-image.com, public domain
    ("skimage", "data/brick.png"),  # CC0Textures, CC0
    ("skimage", "data/grass.png"),  # Linda Hallin, CC0
    ("skimage", "data/gravel.png"),  # CC0Textures, CC0
    ("skimage", "data/ihc.png"),  # a stained tissue, no known copyright restrictions
)
"""Photographs in addition to those of the data set "photos"."""
LEAF_PICTURES, LEAF_SIDE = 6, 640
"""The number of dead-leaves pictures, and their height and width in pixels."""
MAX_SIDE = 150
"""The largest side of a crop, in pixels: all photographs are large enough for it at half their size."""
GREY, CLIPPED = 0.15, 0.5
"""The shares of strips that are grey, and of those whose inputs are rounded and clipped."""

_LEAVES_STREAM = (0, 3)


def variety(request: Request) -> Dataset:
    """Return crops of photographs and dead leaves; the validation crops are those of the data set "photos".

    Raises:
        DataError: when a photograph is missing from the installed packages or too small for the input, or the input
            is not a colour picture.
    """
    check_channels(request.shape)
    if request.shape[0] != 3 or max(request.shape[1:]) * request.noise.scale > MAX_SIDE:
        raise DataError(
            f'the data set "variety" is for networks for colour, 3 channels and crops of at most {MAX_SIDE} pixels, '
            f"but the noise and the network's input need {request.noise.scale} times {request.shape}"
        )
    photographs = [with_channels(read_photograph(*name), 3) for name in (*TRAINING, *MORE)]
    generator = seeded_generator(*_LEAVES_STREAM)
    leaves = [dead_leaves(LEAF_SIDE, photographs, generator) for _ in range(LEAF_PICTURES)]
    training = [views(picture, request, augmented=True) for picture in (*photographs, *leaves)]
    held_out = [views(read_photograph(*name), request, augmented=False) for name in VALIDATION]
    pairs = VariedCrops(training, request.noise, request.shape, request.seed, request.samples, request.clean_targets)
    judges = PictureCrops(held_out, request.noise, request.shape, request.seed, request.samples, clean_targets=True)
    noisy, clean = validation_crops(judges, request)
    text = f"{len(noisy):,} crops of {len(held_out)} photographs for validation"
    description = f"random crops of {len(photographs)} photographs and {len(leaves)} pictures of dead leaves, {text}"
    return Dataset(pairs, Validation(noisy, clean), description, text)


class VariedCrops(PictureCrops):
    """Crops whose colours, contrast and brightness change from strip to strip; see :mod:`layerkit.data.variety`."""

    per_strip = 4  # Few, because the random changes are drawn once for each strip.

    def strip(self, crops: int, uniform: Sequence[float], generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return two noisy versions, or a noisy and the clean version, of each crop in a strip."""
        picture, view, *place = uniform
        kind, clipped, *numbers = torch.rand(7, generator=generator).tolist()
        order = torch.randperm(3, generator=generator)
        scale = self.noise.scale
        piece, steps = cut_piece(pick(pick(self.views, picture), view), scale, self.shape, crops, place)
        piece = recoloured(unit(piece[order]), numbers)
        if kind < GREY:
            piece = piece.mean(0, keepdim=True)
        source = crops_of(piece, scale, (len(piece), *self.shape[1:]), crops, steps)
        noisy = self.noise.draw(source, generator)
        target = self.noise.clean(source) if self.clean_targets else self.noise.target(source, generator)
        if clipped < CLIPPED:
            noisy = noisy.mul_(255).round_().clamp_(0, 255).div_(255)
        return noisy.expand(-1, 3, -1, -1), target.expand(-1, 3, -1, -1)


def recoloured(piece: Tensor, numbers: Sequence[float]) -> Tensor:
    """Return a picture (3, H, W), values from 0 to 1, with its colours changed as five numbers from [0, 1) say.

    They change saturation, gamma, contrast and brightness; each of these is left unchanged in about half of all cases.
    """
    saturation, gamma, contrast, brightness, which = numbers
    changes = [bool(int(which * 8) & bit) for bit in (1, 2, 4)]
    if changes[0]:
        grey = piece.mean(0, keepdim=True)
        piece = torch.lerp(grey, piece, 1.4 * saturation).clamp_(0, 1)
    if changes[1]:
        piece = piece.pow(math.exp(1.4 * (gamma - 0.5)))
    if changes[2]:
        factor = 0.4 + 0.6 * contrast
        piece = piece * factor + (1 - factor) * brightness
    return piece
