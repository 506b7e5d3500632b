"""The contract of a noise: from a clean picture to any number of noisy ones."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor

from layerkit.contracts.built import Built


class Noise(Built):
    """The base class of all noises, which draw noisy versions of clean pictures.

    Two draws are independent of each other, a picture and its target too, which are drawn one after the other: that is
    what Noise2Noise (Lehtinen et al., 2018) needs. Hardly ever is one noise drawn twice, and that of a picture does not
    depend on the other pictures of its batch. Pictures are float tensors (N, C, H, W) with values from 0 to 1; what is
    drawn has their dtype and lies on their device, whatever torch's defaults are.

    Attributes:
        scale: how many source pixels, along each side, make one pixel of the picture. Most noises act on the picture
            itself (1); a noise that comes from making a picture smaller needs a larger source.
        picks_pixels: whether every pixel of a drawn picture and of a target is a pixel of the source with all its
            channels. Then :meth:`draw` and :meth:`target` also take pictures of bytes (uint8), and return bytes for
            them.
    """

    scale: int = 1
    picks_pixels: bool = False

    @abstractmethod
    def draw(self, source: Tensor, generator: torch.Generator) -> Tensor:
        """Return a noisy picture (N, C, H, W) of a source (N, C, scale * H, scale * W); the source is not changed."""

    def target(self, source: Tensor, generator: torch.Generator) -> Tensor:
        """Return a noisy picture to train against, of the shape that :meth:`draw` returns.

        By default it is another draw. A noise that knows which values are lost puts NaN in their place, and its spec
        declares ``masks_targets``.
        """
        return self.draw(source, generator)

    def clean(self, source: Tensor) -> Tensor:
        """Return the clean picture (N, C, H, W) that :meth:`draw` returns noisy versions of."""
        return source
