"""Data sets of clean pictures to which noise is added, from a folder or from memory."""

from __future__ import annotations

import math
from pathlib import Path

import torch
from torch import Tensor

from layerkit.data.crops import PictureCrops, Views
from layerkit.data.dataset import Dataset, Request, Validation
from layerkit.data.pictures import find_pictures, read_pixels, resized, with_channels
from layerkit.data.splits import VALIDATION_EVERY, check_channels, chosen, forms, halves, room, validation_crops
from layerkit.errors import DataError

SCALES = (1.0, 0.75, 0.5)
"""The sizes of a picture that crops are cut from; crops of a smaller one show more of the scene and more detail."""


def picture_folder(path: Path, request: Request, note: str = "") -> Dataset:
    """Return crops of one picture file, or of the pictures in a folder, every fifth of which is for validation.

    Args:
        path: the folder, or the file.
        request: the requirements for the data set.
        note: a text that is added to the description.

    Raises:
        DataError: when there is no picture, one cannot be read, or none is large enough for a crop.
    """
    height, width = source_sides(request)
    found = find_pictures([path])
    order = chosen(len(found), request.shape[0] * height * width)
    training: list[list[Tensor]] = []
    validation: list[list[Tensor]] = []
    usable = 0
    only = torch.empty(0)
    for index in order:
        pixels = read_pixels(found[index])
        if pixels.shape[1] < height or pixels.shape[2] < width:
            continue
        pixels = _reduced(pixels, (height, width), room(len(order)))
        part = training if usable % VALIDATION_EVERY else validation
        part.append(views(pixels, request, augmented=part is training))
        usable, only = usable + 1, pixels
    if not usable:
        raise DataError(
            f"{path}: no picture is large enough: crops need {height}x{width} pixels (height x width) and none of "
            f'{len(order):,} has that{asked_by_noise(request)}; use larger pictures or a smaller network "input"'
        )
    text = f"{usable:,} of the {len(found):,} pictures in {path}"
    if usable < len(order):
        text += f" ({len(order) - usable:,} smaller than a crop's {height}x{width} pixels{asked_by_noise(request)})"
    if usable == 1:
        text += ", cut in two halves"
        training, validation = _halves(only, path, request)
    if note:
        text += f" ({note}; noise is added to every picture)"
    return picture_dataset(text, training, validation, request)


def picture_dataset(text: str, training: Views, validation: Views, request: Request, recolour: bool = False) -> Dataset:
    """Return the data set whose crops come from the given pictures.

    Args:
        text: a name for the pictures, as the beginning of the description.
        training: the forms of each picture for training.
        validation: the forms of each picture for validation.
        request: the requirements for the data set.
        recolour: whether the order of channels changes in training; see :class:`layerkit.data.crops.PictureCrops`.
    """
    noise, shape, seed, samples = request.noise, request.shape, request.seed, request.samples
    pairs = PictureCrops(training, noise, shape, seed, samples, request.clean_targets, recolour)
    noisy, clean = validation_crops(PictureCrops(validation, noise, shape, seed, samples, clean_targets=True), request)
    held_out = (
        f"{len(noisy):,} crops of {len(validation):,} for validation; crops of one photograph resemble one another"
    )
    description = f"{text}: random crops of {len(training):,} for training, {held_out}"
    return Dataset(pairs, Validation(noisy, clean), description, f"{text}: {held_out}")


def source_sides(request: Request) -> tuple[int, int]:
    """Return height and width of the part of a picture that one crop is made from.

    Raises:
        DataError: when the network's input has another number of channels than pictures.
    """
    check_channels(request.shape)
    return request.noise.scale * request.shape[1], request.noise.scale * request.shape[2]


def asked_by_noise(request: Request) -> str:
    """Return the end of a message on pictures that are too small, if the reason is the scale of the noise."""
    scale, (_, height, width) = request.noise.scale, request.shape
    if scale == 1:
        return ""
    return (
        f"; the noise needs that much, since it makes one pixel from {scale}x{scale}; a noise that keeps the "
        f'size, such as {{"type": "gaussian", "sigma": 25}}, needs no more than {height}x{width}'
    )


def views(pixels: Tensor, request: Request, augmented: bool) -> list[Tensor]:
    """Return a picture in all sizes that can hold a crop; ``augmented`` adds mirrored and transposed ones."""
    sides = source_sides(request)
    levels = [with_channels(scaled(pixels, scale), request.shape[0]) for scale in SCALES]
    return [form for level in levels for form in forms(level, sides, augmented)]


def scaled(pixels: Tensor, scale: float) -> Tensor:
    """Return a picture (C, H, W) resized to ``scale`` times its height and width."""
    if scale == 1:
        return pixels
    height, width = (math.ceil(scale * length - 1e-9) for length in pixels.shape[1:])
    return resized(pixels, height, width)


def _halves(pixels: Tensor, path: Path, request: Request) -> tuple[list[list[Tensor]], list[list[Tensor]]]:
    """Return the views of both halves of a picture, for training and for validation."""
    first, second = halves(pixels)
    training, validation = views(first, request, augmented=True), views(second, request, augmented=False)
    if not views(first, request, augmented=False) or not validation:
        height, width = source_sides(request)
        raise DataError(
            f"{path}: the only usable picture, {pixels.shape[1]}x{pixels.shape[2]} pixels, is too small to be cut into "
            f"a half for training and one for validation: crops need {height}x{width}{asked_by_noise(request)}; "
            "add a picture"
        )
    return [training], [validation]


def _reduced(pixels: Tensor, sides: tuple[int, int], most: int) -> Tensor:
    """Return a picture reduced so that its views need about ``most`` bytes at most, but not below ``sides``."""
    copies = 2 * sum(scale**2 for scale in SCALES)  # unchanged and mirrored; transposing needs no memory
    least = max(side / length for side, length in zip(sides, pixels.shape[1:], strict=True))
    return scaled(pixels, min(1.0, max(least, math.sqrt(most / (copies * pixels.nbytes)))))
