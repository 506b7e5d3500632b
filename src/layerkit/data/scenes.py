"""Finds the pictures of a folder that are noisy shots of one scene.

``wall_1.png``, ``wall_2.png``, ... are shots of the scene ``wall``, and ``wall_clean.png`` is its clean picture. But
cameras number all pictures in this way, so names are not enough: shots of one scene must also look alike, and differ
only by noise. A folder has noisy shots if it has a clean picture together with a numbered one, or if most of its
pictures are shots by name and most of the scenes that are compared look alike.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor

from layerkit.data.pictures import read_pixels, resized, with_channels, with_sixteen_bits
from layerkit.errors import DataError

LOOKED_AT = 25
"""How many scenes of a folder are compared."""
BLOCK, SMALL_BLOCK = 8, 4
"""The sides, in pixels, of the blocks whose means are compared; the means have hardly any noise."""

_NAME = re.compile(r"(?P<scene>.+)_(?:(?P<number>\d{1,9})|(?P<clean>clean))", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True)
class Scene:
    """Pictures of one scene.

    Attributes:
        name: the common part of their names.
        shots: the noisy pictures, at least two, sorted by number.
        clean: the clean picture, if there is one.
    """

    name: str
    shots: tuple[Path, ...]
    clean: Path | None

    @property
    def pictures(self) -> tuple[Path, ...]:
        """The shots and, after them, the clean picture."""
        return self.shots if self.clean is None else (*self.shots, self.clean)


@dataclass(frozen=True)
class Findings:
    """The result of examining the pictures of a folder.

    Attributes:
        scenes: the scenes with at least two shots; none if each picture of the folder shows another scene.
        others: the pictures that belong to none of these scenes.
        note: a sentence, if the names suggest something else; otherwise empty.
    """

    scenes: tuple[Scene, ...]
    others: tuple[Path, ...]
    note: str = ""


def find_scenes(pictures: Sequence[Path]) -> Findings:
    """Return the scenes of which there are several noisy shots.

    Raises:
        DataError: when a scene has a clean picture and only one shot, two pictures have the name of the same shot, or
            a picture cannot be read.
    """
    scenes, others = _by_name(pictures)
    if not any(scene.clean for scene in scenes):
        note = _reason_against(scenes, len(pictures))
        if note is not None:
            return Findings((), tuple(pictures), note)
    for scene in scenes:
        _check_names(scene)
    several = tuple(scene for scene in scenes if len(scene.shots) > 1)
    return Findings(several, tuple(others))


class Likeness(Enum):
    """The result of a comparison of two pictures."""

    ALIKE = "they show the same in the same place and differ only by noise"
    DIFFERENT = "they show different things"
    UNKNOWN = "they show little else than noise"


def compare(first: Tensor, second: Tensor) -> Likeness:
    """Return whether two pictures (C, H, W), of 8 or 16 bits, are shots of one scene.

    It compares the means over blocks of pixels, which have hardly any noise. If the sizes differ, the larger picture is
    made smaller first.
    """
    if first.dtype != second.dtype:
        first, second = with_sixteen_bits(first), with_sixteen_bits(second)
    first, second = _same_size(with_channels(first, 1), with_channels(second, 1))
    first, second = first[0].float(), second[0].float()
    difference = _centred(first - second)
    side = BLOCK if min(first.shape) >= 8 * BLOCK else SMALL_BLOCK
    left, right, apart = (_centred(_block_means(values, side)) for values in (first, second, difference))
    spread = left.square().sum().mul(right.square().sum()).sqrt().item()
    correlation = left.mul(right).sum().item() / spread if spread else 0.0
    if correlation > 0.99:
        return Likeness.ALIKE
    # Block means keep only a small part of the variance of noise, and never half of it.
    if apart.square().mean() > 0.5 * difference.square().mean():
        return Likeness.DIFFERENT
    # A correlation of up to three standard errors may be chance.
    return Likeness.ALIKE if correlation * math.sqrt(left.numel()) > 3 else Likeness.UNKNOWN


def _by_name(pictures: Sequence[Path]) -> tuple[list[Scene], list[Path]]:
    """Return the scenes that have two shots, or one and a clean picture, and the pictures that belong to none."""
    shots: dict[str, list[tuple[int, Path]]] = {}
    clean: dict[str, list[Path]] = {}
    others = []
    for path in pictures:
        match = _NAME.fullmatch(path.stem)
        if match is None:
            others.append(path)
        elif match["clean"]:
            clean.setdefault(match["scene"], []).append(path)
        else:
            shots.setdefault(match["scene"], []).append((int(match["number"]), path))
    scenes = []
    for name in sorted({*shots, *clean}):
        numbered, cleaned = sorted(shots.get(name, [])), clean.get(name, [])
        if len(numbered) > 1 or (numbered and cleaned):
            scenes.append(Scene(name, tuple(path for _, path in numbered), cleaned[0] if cleaned else None))
            others += cleaned[1:]
        else:
            others += [*(path for _, path in numbered), *cleaned]
    return scenes, sorted(others)


def _reason_against(scenes: Sequence[Scene], total: int) -> str | None:
    """Return why these pictures are not shots of scenes: "" if not even by name, None if they are shots."""
    if not scenes:
        return ""
    shown = " and ".join(path.name for path in scenes[0].shots[:2])
    if 2 * sum(len(scene.shots) for scene in scenes) <= total:
        return f"{shown} are not taken for noisy shots of one scene, because most names here are not those of pairs"
    order = torch.randperm(len(scenes), generator=torch.Generator().manual_seed(0)).tolist()
    votes = dict.fromkeys(Likeness, 0)
    for index in order[:LOOKED_AT]:
        scene = scenes[index]
        first, second = scene.shots[:2]
        likeness = compare(read_pixels(first), read_pixels(second))
        votes[likeness] += len(scene.shots)
        if likeness is Likeness.DIFFERENT:
            shown = f"{first.name} and {second.name}"
    if votes[Likeness.ALIKE] > votes[Likeness.DIFFERENT]:
        return None
    return f"{shown} do not look alike, so they are not taken for noisy shots of one scene"


def _check_names(scene: Scene) -> None:
    if scene.clean is not None and len(scene.shots) < 2:
        raise DataError(
            f"{scene.shots[0]}: the scene has a clean picture, {scene.clean.name}, and only this noisy shot; add "
            f"another, such as {scene.name}_2.png with {scene.name}_1.png, or remove both"
        )
    for first, second in pairwise(scene.shots):
        if _number(first) == _number(second):
            raise DataError(
                f"{first} and {second} are both shot {_number(first)} of {scene.name} by name; remove one, or give it "
                "another number if it is another shot"
            )


def _number(path: Path) -> int:
    return int(path.stem.rpartition("_")[2])


def _same_size(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    if first.shape == second.shape:
        return first, second
    height, width = (min(pair) for pair in zip(first.shape[1:], second.shape[1:], strict=True))
    return resized(first, height, width), resized(second, height, width)


def _block_means(values: Tensor, side: int) -> Tensor:
    """Return the means over whole blocks, (H, W) to (H // side, W // side)."""
    height, width = (length // side for length in values.shape)
    return values[: height * side, : width * side].reshape(height, side, width, side).mean((1, 3))


def _centred(values: Tensor) -> Tensor:
    return values - values.mean() if values.numel() else values
