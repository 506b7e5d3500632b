"""Training pairs from clean pictures: crops at random places, each with two independent draws of noise."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from layerkit.contracts.noise import Noise
from layerkit.data.pictures import unit
from layerkit.data.strips import StripPairs, crops_of, cut_piece, pick

Views = Sequence[Sequence[Tensor]]
"""For every picture the forms that crops are cut from (sizes, mirrored, ...), 8 or 16 bits (C, height, width)."""


class PictureCrops(StripPairs):
    """Training pairs cut from clean pictures; see :class:`layerkit.data.dataset.TrainingPairs`.

    In noisy targets unknown values are NaN, see :meth:`layerkit.contracts.noise.Noise.target`.

    Args:
        views: the pictures' forms, each at least ``noise.scale`` times as high and wide as a crop.
        noise: the noise that is added to crops.
        shape: the shape of a crop, (C, H, W).
        seed: decides, together with the epoch, places and noise.
        samples: crops in an epoch.
        clean_targets: whether the target is the clean crop instead of a second noisy one.
        recolour: whether the order of the channels changes from strip to strip, so that a network that sees few
            pictures does not learn their colours.
    """

    def __init__(
        self,
        views: Views,
        noise: Noise,
        shape: tuple[int, int, int],
        seed: int,
        samples: int,
        clean_targets: bool = False,
        recolour: bool = False,
    ) -> None:
        super().__init__(shape, seed, samples)
        self.views = views
        self.noise = noise
        self.clean_targets = clean_targets
        self.recolour = recolour
        # If pixels are only picked, they stay bytes until then, since converting the whole strip would be slow.
        in_bytes = all(form.dtype == torch.uint8 for forms in views for form in forms)
        self.dtype = torch.uint8 if in_bytes and noise.picks_pixels and not clean_targets else torch.float32

    def strip(self, crops: int, uniform: Sequence[float], generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return two noisy versions, or a noisy and the clean version, of each crop in a strip."""
        picture, view, *place = uniform
        order = torch.randperm(self.shape[0], generator=generator) if self.recolour else None
        scale = self.noise.scale
        piece, steps = cut_piece(pick(pick(self.views, picture), view), scale, self.shape, crops, place)
        as_bytes = self.dtype == torch.uint8
        if not as_bytes:
            piece = unit(piece if order is None else piece[order])
        source = crops_of(piece, scale, self.shape, crops, steps)
        noisy = self.noise.draw(source, generator)
        target = self.noise.clean(source) if self.clean_targets else self.noise.target(source, generator)
        if as_bytes and order is not None:
            return noisy.index_select(1, order), target.index_select(1, order)
        return noisy, target
