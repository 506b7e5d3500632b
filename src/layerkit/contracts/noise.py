"""The contract of a noise: from a clean picture to noisy ones, drawn again and again."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor


class Noise(ABC):
    """Draws noisy versions of clean pictures; two draws are independent, which is all that Noise2Noise needs.

    Pictures are float tensors (N, C, H, W) with values from 0 to 1.

    Attributes:
        scale: source pixels along one side of a picture's pixel. Most noises act on the picture itself (1); one that
            comes from making a picture smaller needs ``scale`` times the height and width.
        picks_pixels: whether every pixel of a drawn picture, and of a target, is one of the source's with all its
            channels. Then :meth:`draw` and :meth:`target` take pictures of bytes (uint8) as well, and return such.
    """

    scale: int = 1
    picks_pixels: bool = False

    @abstractmethod
    def draw(self, source: Tensor, generator: torch.Generator) -> Tensor:
        """Return a noisy picture (N, C, H, W) of a source (N, C, scale * H, scale * W); the source is not changed."""

    def target(self, source: Tensor, generator: torch.Generator) -> Tensor:
        """Return a noisy picture as :meth:`draw` does, to train against: what is known not to be there is NaN.

        That is for noises which know it, and whose spec declares ``masks_targets``; the others' target is a draw.
        """
        return self.draw(source, generator)

    def clean(self, source: Tensor) -> Tensor:
        """Return the clean picture (N, C, H, W) of a source: what :meth:`draw` is a noisy version of."""
        return source
