"""Training pairs of real noise: the same crops of two noisy shots of one scene.

Both are mirrored and transposed alike. The noise is taken as it is: pictures are not made smaller, for that averages
noise away, and channels keep their places, for a camera's channels are not equally noisy.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from layerkit.data.crops import CROPS_PER_STRIP, crops_of, cut_piece
from layerkit.data.pairs import chunk_size, seeded_generator


@dataclass(frozen=True)
class Stack:
    """The pictures of one scene, one upon the other.

    Attributes:
        views: the forms in which they may be shown (as they are, mirrored, ...), uint8 (K * C, height, width): the
            shots and, on top of them, the clean picture, if there is one.
        shots: how many of the K are noisy shots.
        clean: whether the last of the K is the clean picture.
    """

    views: tuple[Tensor, ...]
    shots: int
    clean: bool


class ShotPairs:
    """Training pairs cut from shots; see :class:`layerkit.data.dataset.TrainingPairs`.

    Args:
        stacks: the scenes.
        shape: of a crop, (C, H, W).
        seed: decides places, shots and which of two is the input, with the epoch.
        samples: crops in an epoch.
        clean_targets: whether the target is the clean picture instead of another shot.
    """

    def __init__(
        self,
        stacks: Sequence[Stack],
        shape: tuple[int, int, int],
        seed: int,
        samples: int,
        clean_targets: bool = False,
    ) -> None:
        self.stacks = stacks
        self.shape = shape
        self.seed = seed
        self.samples = samples
        self.clean_targets = clean_targets
        self.chunk_size = chunk_size(shape)

    def __len__(self) -> int:
        return self.samples

    def chunk(self, epoch: int, number: int) -> tuple[Tensor, Tensor]:
        """Return the same crops of two shots, or of a shot and the clean picture."""
        count = min(self.chunk_size, self.samples - number * self.chunk_size)
        generator = seeded_generator(self.seed, epoch, number)
        return cut_shots(self.stacks, self.shape, count, generator, CROPS_PER_STRIP, self.clean_targets)


def cut_shots(
    stacks: Sequence[Stack],
    shape: tuple[int, int, int],
    count: int,
    generator: torch.Generator,
    per_strip: int,
    clean_targets: bool,
) -> tuple[Tensor, Tensor]:
    """Return (inputs, targets) of ``count`` crops, float32 (count, C, H, W) each: a shot, and another or the clean one.

    For every strip of crops, see :mod:`layerkit.data.crops`, a scene is chosen uniformly, then a view, a place and two
    shots in an order. Neighbouring samples are of different strips.
    """
    per_strip = max(1, min(per_strip, count))
    strips = math.ceil(count / per_strip)
    channels = shape[0]
    both = (2 * channels, *shape[1:])
    pairs = torch.empty(per_strip, strips, *both, dtype=torch.uint8)
    choices = torch.rand(strips, 6, generator=generator).tolist()
    for strip, (scene, view, *place) in enumerate(choices):
        stack = stacks[int(scene * len(stacks))]
        chosen = torch.randperm(stack.shots, generator=generator)[:2]
        if clean_targets:
            chosen = torch.stack([chosen[0], torch.tensor(stack.shots)])
        planes = (chosen[:, None] * channels + torch.arange(channels)).flatten()
        piece, steps = cut_piece(stack.views[int(view * len(stack.views))], 1, both, per_strip, place)
        pairs[:, strip] = crops_of(piece[planes], 1, both, per_strip, steps)
    inputs, targets = pairs.flatten(0, 1)[:count].split(channels, 1)
    return inputs.float().div_(255), targets.float().div_(255)
