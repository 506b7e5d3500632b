"""Lets several processes work on the tiles of one picture.

Rank 0 has the picture: it alone reads the file, estimates the noise and writes the result. The others are given the
pixels, each works on its tiles, and the results are added up: a pixel is zero everywhere but in the process that has
worked on its tile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol, TypeVar

import torch
from torch import Tensor

from layerkit.data.noise_model import NoiseKind, NoiseModel
from layerkit.data.pictures import Scale
from layerkit.distributed.group import Processes
from layerkit.errors import RunError, UserError

Tile = TypeVar("Tile")

Restore = Callable[[Tensor, Scale, NoiseModel | None], object]
"""Denoises pixels of a scale, with noise that has been estimated, by a denoiser that shares its tiles."""


class Share(Protocol):
    """Decides which tiles of a picture are worked on here."""

    def among(
        self, pixels: Tensor, scale: Scale, noise: NoiseModel | None, output: Tensor, tiles: Sequence[Tile]
    ) -> AbstractContextManager[Sequence[Tile]]:
        """Provide, inside ``with``, those of the tiles that are worked on here; the others are filled in at its end.

        Args:
            pixels, scale, noise: of the picture.
            output: for all tiles, whatever it holds at first.
            tiles: all of them.
        """


class Unshared:
    """All tiles of a picture are worked on here."""

    @contextmanager
    def among(
        self, pixels: Tensor, scale: Scale, noise: NoiseModel | None, output: Tensor, tiles: Sequence[Tile]
    ) -> Iterator[Sequence[Tile]]:
        """Provide all tiles."""
        yield tiles


class SharedTiles:
    """Tiles that the processes of a group share; in rank 0 a denoiser has it, and the others :meth:`follow`.

    Args:
        group: that shares them.
    """

    def __init__(self, group: Processes) -> None:
        self.group, self._pictures = group, 0

    @contextmanager
    def among(
        self, pixels: Tensor, scale: Scale, noise: NoiseModel | None, output: Tensor, tiles: Sequence[Tile]
    ) -> Iterator[Sequence[Tile]]:
        """Give the picture to all, in rank 0; provide the tiles of this process, and add up what all have.

        Raises:
            RunError: instead of an error about this picture alone, since the others are at work on it.
            ProcessError, StoppedError: as those of the group's board.
        """
        if self.group.rank == 0:
            about = {
                "shape": list(pixels.shape),
                "dtype": str(pixels.dtype).removeprefix("torch."),
                "scale": [scale.black, scale.white, scale.closed],
                "noise": None if noise is None else [noise.kind.value, noise.level, noise.uncertainty],
            }
            self._announce(about)
            self.group.take_from_first([_bytes(pixels)])
        output.zero_()
        try:
            yield tiles[self.group.rank :: self.group.size]
        except UserError as error:
            raise RunError(str(error)) from error
        self.group.board.gather(f"tiles/{self._pictures}/done")
        self.group.begin_sum(_bytes(output))()

    def dismiss(self) -> None:
        """Let the others know, in rank 0, that no picture comes any more."""
        self._announce(None)

    def follow(self, restore: Restore) -> None:
        """Work on tiles of the pictures that rank 0 has, until none comes any more.

        Raises:
            ProcessError, StoppedError: as those of the group's board.
        """
        while True:
            self._pictures += 1
            about = self.group.board.read(f"tiles/{self._pictures}")
            if about is None:
                return
            pixels = torch.empty(about["shape"], dtype=getattr(torch, about["dtype"]))
            self.group.take_from_first([_bytes(pixels)])
            noise = about["noise"] and NoiseModel(NoiseKind(about["noise"][0]), *about["noise"][1:])
            restore(pixels, Scale(*about["scale"]), noise)

    def _announce(self, about: object) -> None:
        self._pictures += 1
        self.group.board.post(f"tiles/{self._pictures}", about)


def _bytes(tensor: Tensor) -> Tensor:
    """Return a tensor's numbers as bytes, which every backend can send, and add where all but one are zero."""
    return tensor.contiguous().view(-1).view(torch.uint8)
