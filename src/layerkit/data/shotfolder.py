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
from layerkit.data.pairs import seeded_generator
from layerkit.data.pictures import read_picture, with_channels
from layerkit.data.scenes import Findings, Scene, alike
from layerkit.data.shots import ShotPairs, Stack, cut_shots
from layerkit.data.splits import (
    CROP_STREAM,
    MAX_BYTES,
    MAX_VALIDATION_VALUES,
    SPLIT_STREAM,
    VALIDATION_CROPS_PER_STRIP,
    check_channels,
)
from layerkit.errors import DataError

MAX_NAMES = 5
"""Names of pictures in one sentence."""


def shot_folder(path: Path, found: Findings, request: Request) -> Dataset:
    """Return crops of the shots in a folder, every fifth scene of which is for validation.

    Where some scenes have a clean picture, validation is on those; where none has, on pairs of shots.

    Raises:
        DataError: when the shots of a scene do not fit together, none is large enough for a crop, or clean targets are
            asked for and there is no clean picture.
    """
    check_channels(request.shape)
    scenes, left_out = _wanted(path, found, request)
    order = torch.randperm(len(scenes), generator=seeded_generator(*SPLIT_STREAM)).tolist()
    # Room for a few places in every scene, as for folders of pictures.
    most = max(_pictures(scene) for scene in scenes)
    order = order[: max(2, MAX_BYTES // (8 * most * math.prod(request.shape)))]
    height, width = request.shape[1:]
    read = [_read(scenes[index], request.shape, MAX_BYTES // len(order)) for index in order]
    usable = [held for held in read if held.pixels.shape[1] >= height and held.pixels.shape[2] >= width]
    if not usable:
        raise DataError(
            f"{path}: no shot is large enough: crops need {height}x{width} pixels (height x width); use larger "
            'pictures or a smaller network "input"'
        )
    known = any(held.scene.clean for held in usable)
    held_out = [held.scene.name for held in usable if held.scene.clean or not known][::5]
    if len(usable) == 1:
        halves = _halves(usable[0], path, request.shape)
    else:
        halves = ([held for held in usable if (held.scene.name in held_out) == part] for part in (False, True))
    training, validation = (
        [_stack(held, request.shape, augmented) for held in part]
        for part, augmented in zip(halves, (True, False), strict=True)
    )
    count = min(request.validation_samples, MAX_VALIDATION_VALUES // math.prod(request.shape))
    generator = seeded_generator(*CROP_STREAM)
    noisy, other = cut_shots(validation, request.shape, count, generator, VALIDATION_CROPS_PER_STRIP, known)
    text = _description(path, request, usable, len(scenes), (len(training), count, len(validation)), known)
    text += _left_out(left_out, "have no partner")
    text += _left_out(
        [shot for held in read if held not in usable for shot in held.scene.shots],
        f"are smaller than a crop's {height}x{width} pixels",
    )
    pairs = ShotPairs(training, request.shape, request.seed, request.samples, request.clean_targets)
    return Dataset(pairs, Validation(noisy, other) if known else Validation(noisy, None, other), text)


def _description(
    path: Path, request: Request, usable: Sequence[_Held], scenes: int, counts: tuple[int, int, int], known: bool
) -> str:
    """Return what is trained on; ``counts``: scenes for training, and crops and scenes for validation."""
    shots = sum(len(held.scene.shots) for held in usable)
    text = f"{shots:,} noisy shots of {len(usable):,} of the {scenes:,} scenes in {path}"
    text += ", cut in two halves" if len(usable) == 1 else ""
    text += ", of large pictures the middle" if any(held.cut for held in usable) else ""
    text += '; no noise is added, and the "noise" of the spec is not used: random crops of '
    text += "shots and clean pictures" if request.clean_targets else "pairs of shots"
    text += " of {:,} for training, {:,} crops of {:,} for validation, ".format(*counts)
    return text + (
        "whose clean pictures are known" if known else "whose quality is estimated, for no clean picture is known"
    )


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


def _pictures(scene: Scene) -> int:
    return len(scene.shots) + (scene.clean is not None)


@dataclass(frozen=True, eq=False)
class _Held:
    """A scene's pictures as uint8 (K * C, height, width), and whether they were cut to what memory bears."""

    scene: Scene
    pixels: Tensor
    cut: bool = False


def _read(scene: Scene, shape: tuple[int, int, int], room: int) -> _Held:
    """Return a scene's pictures; of those that would take more than ``room`` bytes the middle, a crop at least.

    Raises:
        DataError: when the pictures do not show the same scene in the same size, or are the same.
    """
    first, *others = (*scene.shots, *((scene.clean,) if scene.clean else ()))
    model = read_picture(first).pixels
    size = model.shape[1:]
    # A mirrored copy of everything is kept as well; transposing takes no memory.
    share = math.sqrt(room / (2 * _pictures(scene) * shape[0] * math.prod(size)))
    kept = [min(length, max(side, int(share * length))) for length, side in zip(size, shape[1:], strict=True)]
    top, left = ((length - side) // 2 for length, side in zip(size, kept, strict=True))

    def part(pixels: Tensor) -> Tensor:
        return with_channels(pixels[:, top : top + kept[0], left : left + kept[1]], shape[0]).clone()

    seen = {_digest(model): first}
    planes = [part(model)]
    for path in others:
        pixels = read_picture(path).pixels
        _check_fit(first, model, path, pixels)
        same = seen.setdefault(_digest(pixels), path)
        if same != path:
            raise DataError(
                f"{same} and {path} are the same picture; each must be a shot of its own with noise of its own, so "
                "remove one"
            )
        planes.append(part(pixels))
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
            "have the same size: crop them alike, or take one away"
        )
    if alike(model, pixels) is False:
        raise DataError(
            f"{first} and {path} do not show the same, while other names that end in a number or in clean stand for "
            "pictures of one scene here; rename or remove one, or train on an .npz file, whose pairs are not compared"
        )


def _digest(pixels: Tensor) -> bytes:
    return hashlib.sha256(pixels.contiguous().numpy()).digest()


def _halves(held: _Held, path: Path, shape: tuple[int, int, int]) -> tuple[list[_Held], list[_Held]]:
    """Return both halves of a scene, for training and for validation."""
    height, width = held.pixels.shape[1:]
    halves = held.pixels.tensor_split(2, 1 if height > width else 2)
    if any(half.shape[1] < shape[1] or half.shape[2] < shape[2] for half in halves):
        raise DataError(
            f"{path}: the only usable scene, {held.scene.name}, has {height}x{width} pixels, too few to be cut into a "
            f"half for training and one for validation: crops need {shape[1]}x{shape[2]}; add a scene"
        )
    return [_Held(held.scene, halves[0])], [_Held(held.scene, halves[1])]


def _stack(held: _Held, shape: tuple[int, int, int], augmented: bool) -> Stack:
    """Return a scene's pictures in the forms that hold a crop; ``augmented`` adds mirrored and transposed ones."""
    forms = [held.pixels]
    if augmented:
        forms.append(held.pixels.flip(2))
        forms += [form.transpose(1, 2) for form in forms]
    views = tuple(form for form in forms if form.shape[1] >= shape[1] and form.shape[2] >= shape[2])
    return Stack(views, len(held.scene.shots), held.scene.clean is not None)


def _left_out(paths: Sequence[Path], reason: str) -> str:
    if not paths:
        return ""
    names = ", ".join(path.name for path in paths[:MAX_NAMES])
    more = f" and {len(paths) - MAX_NAMES:,} more" if len(paths) > MAX_NAMES else ""
    return f"; left out: {names}{more}, which {reason}"
