"""Data sets of real noise: folders with several noisy shots of each scene, to which no noise is added."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from layerkit.data.dataset import Dataset, Request, Validation
from layerkit.data.pictures import read_pixels, with_channels, with_sixteen_bits
from layerkit.data.scenes import Findings, Likeness, Scene, compare
from layerkit.data.shots import ShotPairs, Stack
from layerkit.data.splits import VALIDATION_EVERY, check_channels, chosen, forms, halves, room, validation_crops
from layerkit.errors import DataError

MAX_NAMES = 5
"""How many names of pictures one message has at most."""


def shot_folder(path: Path, found: Findings, request: Request) -> Dataset:
    """Return crops of the shots in a folder; every fifth scene is for validation.

    If some scenes have a clean picture, validation uses only such scenes; otherwise it uses pairs of shots.

    Raises:
        DataError: when the shots of a scene do not fit together, none is large enough for a crop, or clean targets are
            asked for and there is no clean picture.
    """
    check_channels(request.shape)
    scenes, left_out = _wanted(path, found, request)
    most = max(len(scene.pictures) for scene in scenes)
    order = chosen(len(scenes), most * math.prod(request.shape))
    height, width = request.shape[1:]
    read = [_read(scenes[index], request.shape, room(len(order))) for index in order]
    usable = [held for held in read if held.pixels.shape[1] >= height and held.pixels.shape[2] >= width]
    if not usable:
        raise DataError(
            f"{path}: no shot is large enough: crops need {height}x{width} pixels (height x width); use larger "
            'pictures or a smaller network "input"'
        )
    known = any(held.scene.clean for held in usable)
    training, validation = _halves(usable[0], path, request.shape) if len(usable) == 1 else _split(usable, known)
    shape, seed, samples = request.shape, request.seed, request.samples
    pairs = ShotPairs([_stack(held, shape, True) for held in training], shape, seed, samples, request.clean_targets)
    held_out = ShotPairs([_stack(held, shape, False) for held in validation], shape, seed, samples, known)
    noisy, other = validation_crops(held_out, request)
    texts = _descriptions(path, request, usable, len(scenes), (len(training), len(noisy), len(validation)), known)
    more = _left_out(left_out, "have no partner")
    more += _left_out(
        [shot for held in read if held not in usable for shot in held.scene.shots],
        f"are smaller than a crop's {height}x{width} pixels",
    )
    return Dataset(
        pairs, Validation(noisy, other) if known else Validation(noisy, None, other), *(text + more for text in texts)
    )


def _descriptions(
    path: Path, request: Request, usable: Sequence[_Held], scenes: int, counts: tuple[int, int, int], known: bool
) -> tuple[str, str]:
    """Return a description of the data, and one of the part for validation.

    Args:
        counts: scenes for training, and crops and scenes for validation.
    """
    shots = sum(len(held.scene.shots) for held in usable)
    text = f"{shots:,} noisy shots of {len(usable):,} of the {scenes:,} scenes in {path}"
    text += ", cut in two halves" if len(usable) == 1 else ""
    text += ", of large pictures the middle" if any(held.cut for held in usable) else ""
    text += '; no noise is added, and the "noise" of the spec is not used: '
    pairs = "shots and clean pictures" if request.clean_targets else "pairs of shots"
    for_training = f"random crops of {pairs} of {counts[0]:,} for training, "
    held_out = f"{counts[1]:,} crops of {counts[2]:,} for validation, whose " + (
        "clean pictures are known" if known else "quality is estimated, because no clean picture is known"
    )
    return text + for_training + held_out, text + held_out


def _wanted(path: Path, found: Findings, request: Request) -> tuple[list[Scene], list[Path]]:
    """Return the scenes that can be used, and the pictures that cannot."""
    if not request.clean_targets:
        return list(found.scenes), list(found.others)
    scenes = [scene for scene in found.scenes if scene.clean]
    if not scenes:
        name = found.scenes[0].name
        raise DataError(
            f"{path}: clean targets were asked for, and no scene has a clean picture, such as {name}_clean.png for "
            f"{name}_1.png; add them, or train without clean targets"
        )
    return scenes, [*found.others, *(shot for scene in found.scenes if not scene.clean for shot in scene.shots)]


@dataclass(frozen=True, eq=False)
class _Held:
    """A scene's pictures, 8 or 16 bits (K * C, height, width), and whether they were cut to fit into memory."""

    scene: Scene
    pixels: Tensor
    cut: bool = False


def _split(usable: Sequence[_Held], known: bool) -> tuple[list[_Held], list[_Held]]:
    """Return the scenes for training and for validation; if ``known``, the latter all have a clean picture."""
    candidates = [held for held in usable if held.scene.clean or not known]
    validation = candidates[::VALIDATION_EVERY]
    return [held for held in usable if held not in validation], validation


def _read(scene: Scene, shape: tuple[int, int, int], most: int) -> _Held:
    """Return a scene's pictures; if they need more than ``most`` bytes, their middle, at least as large as a crop.

    Raises:
        DataError: when the pictures do not show the same scene in the same size, or two are identical.
    """
    first, *others = scene.pictures
    model = read_pixels(first)
    size = model.shape[1:]
    # A mirrored copy of everything is kept as well; transposing needs no memory.
    share = math.sqrt(most / (2 * len(scene.pictures) * shape[0] * math.prod(size) * model.itemsize))
    kept = [min(length, max(side, int(share * length))) for length, side in zip(size, shape[1:], strict=True)]
    top, left = ((length - side) // 2 for length, side in zip(size, kept, strict=True))

    def part(pixels: Tensor) -> Tensor:
        return with_channels(pixels[:, top : top + kept[0], left : left + kept[1]], shape[0]).clone()

    seen = {_digest(model): first}
    planes = [part(model)]
    for path in others:
        pixels = read_pixels(path)
        _check_fit(first, model, path, pixels)
        same = seen.setdefault(_digest(pixels), path)
        if same != path:
            raise DataError(
                f"{same} and {path} are the same picture; each must be a separate shot with independent noise, so "
                "remove one"
            )
        planes.append(part(pixels))
    if len({plane.dtype for plane in planes}) > 1:
        planes = [with_sixteen_bits(plane) for plane in planes]
    return _Held(scene, torch.cat(planes), cut=kept != list(size))


def _check_fit(first: Path, model: Tensor, path: Path, pixels: Tensor) -> None:
    """Make sure that a picture is of the same scene as the first.

    Raises:
        DataError: when it is of another size, or shows something else.
    """
    if pixels.shape[1:] != model.shape[1:]:
        sizes = [f"{height}x{width}" for height, width in (model.shape[1:], pixels.shape[1:])]
        raise DataError(
            f"{first} has {sizes[0]} pixels (height x width) and {path} has {sizes[1]}; pictures of one scene must "
            "have the same size: crop them alike, or remove one"
        )
    if compare(model, pixels) is Likeness.DIFFERENT:
        raise DataError(
            f"{first} and {path} do not show the same scene, although in this folder names that end in a number or in "
            "clean mean pictures of one scene; rename or remove one, or train on an .npz file, which is not compared"
        )


def _digest(pixels: Tensor) -> bytes:
    return hashlib.sha256(pixels.contiguous().numpy().data).digest()


def _halves(held: _Held, path: Path, shape: tuple[int, int, int]) -> tuple[list[_Held], list[_Held]]:
    """Return both halves of a scene, for training and for validation."""
    first, second = halves(held.pixels)
    if any(half.shape[1] < shape[1] or half.shape[2] < shape[2] for half in (first, second)):
        height, width = held.pixels.shape[1:]
        raise DataError(
            f"{path}: the only usable scene, {held.scene.name}, has {height}x{width} pixels, too few to be cut into a "
            f"half for training and one for validation: crops need {shape[1]}x{shape[2]}; add a scene"
        )
    return [_Held(held.scene, first)], [_Held(held.scene, second)]


def _stack(held: _Held, shape: tuple[int, int, int], augmented: bool) -> Stack:
    """Return a scene's pictures in the forms that can hold a crop; ``augmented`` adds mirrored and transposed ones."""
    views = forms(held.pixels, shape[1:], augmented)
    return Stack(tuple(views), len(held.scene.shots), held.scene.clean is not None)


def _left_out(paths: Sequence[Path], reason: str) -> str:
    if not paths:
        return ""
    names = ", ".join(path.name for path in paths[:MAX_NAMES])
    more = f" and {len(paths) - MAX_NAMES:,} more" if len(paths) > MAX_NAMES else ""
    return f"; left out: {names}{more}, which {reason}"
