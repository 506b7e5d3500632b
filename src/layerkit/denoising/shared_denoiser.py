"""Denoises pictures with several processes, each of which does a part of them."""

from __future__ import annotations

from torch import Tensor

from layerkit.contracts.module import Module
from layerkit.data.pictures import Scale
from layerkit.denoising.denoiser import Denoiser, Progress
from layerkit.distributed.group import Processes, part_of


class SharedDenoiser(Denoiser):
    """A denoiser that divides pictures among the processes of a group; each is given all, and gets all results.

    Args:
        network: the same everywhere.
        input_shape: (C, H, W) that the network was declared for.
        group: that shares the pictures.
    """

    def __init__(self, network: Module, input_shape: tuple[int, int, int], group: Processes) -> None:
        super().__init__(network, input_shape)
        self.group = group

    def restore(
        self, images: Tensor, scale: Scale, progress: Progress | None = None, tile: int | None = None
    ) -> Tensor:
        """Return the denoised pictures, all of them, as :meth:`Denoiser.restore` does."""
        part = part_of(len(images), self.group.rank, self.group.size)
        own = super().restore(images[part], scale, progress, tile)
        return self.group.joined_parts(own, len(images))
