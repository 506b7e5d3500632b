"""Training pairs of real noise: the same crops of two noisy shots of one scene.

Both are mirrored and transposed in the same way. The noise must not change: pictures are not made smaller, because that
would average the noise, and channels keep their order, because a camera's channels are not equally noisy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from layerkit.data.pictures import unit
from layerkit.data.strips import StripPairs, crops_of, cut_piece, pick


@dataclass(frozen=True)
class Stack:
    """The K pictures of one scene, stacked along the channels.

    Attributes:
        views: the forms of the stack (unchanged, mirrored, ...), 8 or 16 bits (K * C, height, width): the shots and,
            after them, the clean picture, if there is one.
        shots: how many of the K pictures are noisy shots.
        clean: whether the last of the K pictures is the clean one.
    """

    views: tuple[Tensor, ...]
    shots: int
    clean: bool


class ShotPairs(StripPairs):
    """Training pairs cut from shots; see :class:`layerkit.data.dataset.TrainingPairs`.

    For every strip of crops a scene is chosen uniformly, then a view, a place and an ordered pair of shots.

    Args:
        stacks: the scenes.
        shape: the shape of a crop, (C, H, W).
        seed: decides, together with the epoch, the places, the shots and which of two is the input.
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
        super().__init__(shape, seed, samples)
        self.stacks = stacks
        self.clean_targets = clean_targets
        in_bytes = all(view.dtype == torch.uint8 for stack in stacks for view in stack.views)
        self.dtype = torch.uint8 if in_bytes else torch.float32

    def strip(self, crops: int, uniform: Sequence[float], generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return the same crops of two shots, or of a shot and the clean picture."""
        scene, view, *place = uniform
        stack, channels = pick(self.stacks, scene), self.shape[0]
        chosen = torch.randperm(stack.shots, generator=generator)[:2]
        if self.clean_targets:
            chosen = torch.stack([chosen[0], torch.tensor(stack.shots)])
        planes = (chosen[:, None] * channels + torch.arange(channels)).flatten()
        piece, steps = cut_piece(pick(stack.views, view), 1, self.shape, crops, place)
        piece = piece[planes] if self.dtype == torch.uint8 else unit(piece[planes])
        both = crops_of(piece, 1, self.shape, crops, steps)
        return both[:, :channels], both[:, channels:]
