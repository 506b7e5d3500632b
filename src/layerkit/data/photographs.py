"""Data sets of photographs: a folder of pictures, or the few that come with layerkit and scikit-image.

Photographs are split, not crops: two crops of one photograph look alike, and a validation set that shared photographs
with training would measure memory.
"""

from __future__ import annotations

import importlib.util
import math
from pathlib import Path

import torch
from torch import Tensor

from layerkit.data.crops import PictureCrops, Views, cut_crops
from layerkit.data.dataset import Dataset, Request, Validation
from layerkit.data.pairs import seeded_generator
from layerkit.data.pictures import find_pictures, read_picture, resized, with_channels
from layerkit.data.splits import (
    CROP_STREAM,
    MAX_BYTES,
    MAX_VALIDATION_VALUES,
    SPLIT_STREAM,
    VALIDATION_CROPS_PER_STRIP,
    check_channels,
)
from layerkit.errors import DataError

TRAINING = (
    ("skimage", "data/astronaut.png"),  # NASA, public domain
    ("skimage", "data/chelsea.png"),  # Stefan van der Walt, CC0
    ("skimage", "data/coffee.png"),  # Rachel Michetti, CC0
    ("skimage", "data/motorcycle_left.png"),  # Middlebury 2014 stereo benchmark
    ("skimage", "data/rocket.jpg"),  # SpaceX, public domain
)
VALIDATION = (
    ("layerkit", "data/photos/china.jpg"),  # danielbuechele, CC BY 2.0
    ("layerkit", "data/photos/flower.jpg"),  # vultilion, CC BY 2.0
)

SCALES = (1.0, 0.75, 0.5)
"""Sizes at which a photograph is shown: crops of a smaller one hold more of the scene and are less flat."""
MAX_ENLARGEMENT = 4.0
"""How far the built-in photographs are enlarged when a network's input is larger than they are."""


def builtin_photographs(request: Request) -> Dataset:
    """Return crops of seven photographs: five for training, the other two for validation.

    Raises:
        DataError: when a photograph is missing from the installed packages, or much too small for the input.
    """
    sides = _source_sides(request)
    training = [_views(_enlarged(_builtin(*name), sides), request, augmented=True) for name in TRAINING]
    validation = [_views(_enlarged(_builtin(*name), sides), request, augmented=False) for name in VALIDATION]
    text = "7 photographs that come with layerkit and scikit-image"
    return _dataset(text, training, validation, request, recolour=True)


def picture_folder(path: Path, request: Request, note: str = "") -> Dataset:
    """Return crops of the pictures in a folder, every fifth of which is for validation, or of one picture file.

    ``note`` is added to the description.

    Raises:
        DataError: when there is no picture, one cannot be read, or none is large enough for a crop.
    """
    height, width = _source_sides(request)
    found = find_pictures([path])
    order = torch.randperm(len(found), generator=seeded_generator(*SPLIT_STREAM)).tolist()
    # Room for a few places in every picture; pictures beyond that are left out rather than made smaller still.
    order = order[: max(2, MAX_BYTES // (8 * request.shape[0] * height * width))]
    training: list[list[Tensor]] = []
    validation: list[list[Tensor]] = []
    usable = 0
    only = torch.empty(0)
    for index in order:
        pixels = read_picture(found[index]).pixels
        if pixels.shape[1] < height or pixels.shape[2] < width:
            continue
        pixels = _reduced(pixels, (height, width), MAX_BYTES // len(order))
        part = training if usable % 5 else validation
        part.append(_views(pixels, request, augmented=part is training))
        usable, only = usable + 1, pixels
    if not usable:
        raise DataError(
            f"{path}: no picture is large enough: crops need {height}x{width} pixels (height x width) and none of "
            f'{len(order):,} has that; use larger pictures or a smaller network "input"'
        )
    text = f"{usable:,} of the {len(found):,} pictures in {path}"
    if usable < len(order):
        text += f" ({len(order) - usable:,} smaller than a crop's {height}x{width} pixels)"
    if usable == 1:
        text += ", cut in two halves"
        training, validation = _halves(only, path, request)
    if note:
        text += f" ({note}; noise is added to every picture)"
    return _dataset(text, training, validation, request)


def _dataset(text: str, training: Views, validation: Views, request: Request, recolour: bool = False) -> Dataset:
    """Return the data set whose crops come from these views; ``text`` names the pictures."""
    count = min(request.validation_samples, MAX_VALIDATION_VALUES // math.prod(request.shape))
    generator = seeded_generator(*CROP_STREAM)
    crops = cut_crops(
        validation, request.noise, request.shape, count, generator, VALIDATION_CROPS_PER_STRIP, clean_targets=True
    )
    description = (
        f"{text}: random crops of {len(training):,} for training, {count:,} crops of {len(validation):,} for "
        "validation; crops of one photograph resemble one another"
    )
    pairs = PictureCrops(
        training, request.noise, request.shape, request.seed, request.samples, request.clean_targets, recolour
    )
    return Dataset(pairs, Validation(*crops), description)


def _source_sides(request: Request) -> tuple[int, int]:
    """Return height and width of the source of one crop.

    Raises:
        DataError: when the input is not that of a network for pictures.
    """
    check_channels(request.shape)
    return request.noise.scale * request.shape[1], request.noise.scale * request.shape[2]


def _builtin(package: str, name: str) -> Tensor:
    """Return a photograph of an installed package, without importing the package, as uint8 (C, H, W)."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise DataError(
            f'the data set "photos" needs {package} for {name}, and {package} is not installed; '
            "install it, or use a folder of pictures"
        )
    return read_picture(Path(spec.submodule_search_locations[0]) / name).pixels


def _views(pixels: Tensor, request: Request, augmented: bool) -> list[Tensor]:
    """Return a picture in all sizes that hold a crop; ``augmented`` adds mirrored and transposed ones."""
    height, width = _source_sides(request)
    views = []
    for scale in SCALES:
        level = with_channels(_resized(pixels, scale), request.shape[0])
        forms = [level]
        if augmented:
            forms.append(level.flip(2))
            forms += [form.transpose(1, 2) for form in forms]
        views += [form for form in forms if form.shape[1] >= height and form.shape[2] >= width]
    return views


def _halves(pixels: Tensor, path: Path, request: Request) -> tuple[list[list[Tensor]], list[list[Tensor]]]:
    """Return the views of both halves of a picture, for training and for validation."""
    dimension = 1 if pixels.shape[1] > pixels.shape[2] else 2
    halves = pixels.tensor_split(2, dimension)
    training, validation = (_views(half, request, augmented=False) for half in halves)
    if not training or not validation:
        height, width = _source_sides(request)
        raise DataError(
            f"{path}: the only usable picture, {pixels.shape[1]}x{pixels.shape[2]} pixels, is too small to be cut into "
            f"a half for training and one for validation: crops need {height}x{width}; add a picture"
        )
    return [_views(halves[0], request, augmented=True)], [validation]


def _enlarged(pixels: Tensor, sides: tuple[int, int]) -> Tensor:
    """Return a picture at least as large as ``sides``, as it is if it can be.

    Raises:
        DataError: when it would have to be enlarged beyond reason.
    """
    scale = max(side / length for side, length in zip(sides, pixels.shape[1:], strict=True))
    if scale > MAX_ENLARGEMENT:
        raise DataError(
            f"the built-in photographs are too small for crops of {sides[0]}x{sides[1]} pixels; "
            'use a folder of larger pictures or a smaller network "input"'
        )
    return _resized(pixels, scale) if scale > 1 else pixels


def _reduced(pixels: Tensor, sides: tuple[int, int], room: int) -> Tensor:
    """Return a picture whose views take about ``room`` bytes at most, yet no smaller than ``sides``."""
    views = 2 * sum(scale**2 for scale in SCALES)  # as they are and mirrored; transposing takes no memory
    least = max(side / length for side, length in zip(sides, pixels.shape[1:], strict=True))
    return _resized(pixels, min(1.0, max(least, math.sqrt(room / (views * pixels.numel())))))


def _resized(pixels: Tensor, scale: float) -> Tensor:
    """Return a picture (C, H, W) in a size that is ``scale`` times its own."""
    if scale == 1:
        return pixels
    return resized(pixels, *(math.ceil(scale * length - 1e-9) for length in pixels.shape[1:]))
