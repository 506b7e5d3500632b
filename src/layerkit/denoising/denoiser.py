"""Denoises pictures of any size with a network that was trained on small crops.

A network accepts only some sizes: with two convolutions of stride 2, multiples of 4. And a large picture does not fit
into memory at once. So a picture is extended at the bottom and the right, by repeating its edge, up to a size that the
network keeps, and processed in tiles. The tiles overlap just enough for every pixel to have the same result as if the
picture were processed in one piece. :mod:`layerkit.denoising.geometry` chooses the tiles.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, NamedTuple, Self, cast, overload

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from layerkit.arithmetic.division import TILES, division_on
from layerkit.checkpoints.checkpoint import load
from layerkit.contracts.built import held
from layerkit.contracts.module import Module
from layerkit.contracts.printing import described
from layerkit.contracts.threads import Evaluating
from layerkit.contracts.tree import summary
from layerkit.contracts.workspace import Workspace
from layerkit.data.arrays import Array, Given, each_picture, pictures
from layerkit.data.pictures import Picture, Scale, nominal
from layerkit.data.pictures.scale import WHITES
from layerkit.denoising.geometry import Geometry, Span, numbers_a_pixel
from layerkit.denoising.shared_tiles import Share, Unshared
from layerkit.denoising.together import each
from layerkit.devices import AUTO, device_named
from layerkit.errors import DataError, RunError

Progress = Callable[[int, int], None]
"""Called with the number of finished tiles and the number of all tiles."""

Side = Annotated[int, Field(ge=1)]
"""The side of a tile, in pixels."""


class _Job(NamedTuple):
    """A tile of some of the pictures."""

    rows: Span
    columns: Span
    batch: slice


class Denoiser:
    """Denoises pictures of any size with a network.

    Any number of threads may use one denoiser at once, and several denoisers one network. None waits for another, and
    each gets the same bits as if it were alone.

    Args:
        network: maps (N, C, H, W), values from 0 to 1, to the same shape, for those sizes that it keeps.
        input_shape: (C, H, W) that the network was declared for.
        tile: side of the tiles in which large pictures are processed, in pixels; it bounds the memory, not the result.
            By default 512 on a processor, and on a GPU as large as its memory allows.

    Attributes:
        share: which tiles are worked on here, and how the others are come by; all of them are, at first.

    Raises:
        ArgumentError: when ``tile`` is less than 1, or an argument is something else.
    """

    share: Share = Unshared()

    @held
    def __init__(self, network: Module, input_shape: tuple[int, int, int], tile: Side | None = None) -> None:
        self.network = network
        self.input_shape = input_shape
        self.geometry = Geometry(network, input_shape)
        self.tile = tile or division_on(self.geometry.number.device).tile_side(numbers_a_pixel(network, input_shape))
        # The memory of the tiles that ended last, for the next: to ask the system for it takes up to a third of a call.
        self._idle: deque[Workspace] = deque(maxlen=TILES)

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_idle": deque(maxlen=TILES)}  # a copy works in memory of its own

    def __repr__(self) -> str:
        parts = {"network": summary(self.network), "input_shape": str(self.input_shape), "tile": str(self.tile)}
        return described("Denoiser", parts)

    @classmethod
    def load(cls, path: str | Path, tile: int | None = None, device: str | torch.device = AUTO) -> Self:
        """Return the denoiser in a checkpoint.

        Args:
            path: the checkpoint.
            tile: as the class takes it.
            device: where the network works, see :func:`layerkit.devices.device_named`.

        Raises:
            CheckpointError: when the file is missing, damaged, or no checkpoint.
            DeviceError: when there is no such device.
        """
        checkpoint = load(path, device=device_named(device))
        shape = checkpoint.architecture.input
        return cls(checkpoint.network, (shape.channels, shape.height, shape.width), tile)

    def predict(self, images: Given, progress: Progress | None = None) -> Given:
        """Return the denoised pictures, of the same shape, dtype and device as ``images``: a tensor, or numpy's array.

        The network is evaluated, whatever mode it is in, and works in its own dtype on its own device.

        Args:
            images: (N, C, H, W), any N and size, values from 0 to 255 as uint8 or any floats, or from 0 to 65,535 as
                uint16. The result has such values too, rounded if they are whole numbers. Floats that evidently do not
                go from 0 to 255 are taken as they are, with a :class:`~layerkit.errors.DataWarning`.
            progress: called with the number of finished tiles and that of all tiles after each.

        Raises:
            ShapeError: when ``images`` does not have that shape, or the network cannot take pictures of this size.
            DataError: when the values have another dtype, or are not finite.
            RunError: when the network's answer is not finite.
            StateError: when another thread is in the middle of a training step of the network, or trains it meanwhile.
        """
        given = pictures(images, "images", self.input_shape[0])
        denoised = self.restore(given, Scale(0.0, WHITES.get(given.dtype, 255.0)), progress)
        return cast(Given, denoised.numpy() if isinstance(images, np.ndarray) else denoised)

    def restore(
        self, images: Tensor, scale: Scale, progress: Progress | None = None, tile: int | None = None
    ) -> Tensor:
        """Return the denoised pictures, of the same shape, dtype and device as ``images``.

        Args:
            images: (N, C, H, W), of any dtype that pictures have; that they are finite is up to the caller.
            scale: what is black and white in them.
            progress: called with the number of finished tiles and that of all tiles after each.
            tile: side of the tiles; by default the denoiser's own.

        Raises:
            ShapeError, RunError, StateError: as :meth:`predict` does.
        """
        evaluating, number = Evaluating(self.network), self.geometry.number
        with evaluating, torch.no_grad():
            jobs = self._jobs(len(images), images.shape[2], images.shape[3], tile or self.tile)
        output = torch.empty(images.shape, dtype=images.dtype, device=images.device)

        def work(job: _Job) -> None:
            workspace = self._workspace()
            with evaluating, workspace, torch.no_grad():
                self._denoise(job, images, output, scale, workspace, number)
            self._idle.append(workspace)

        with self.share.among(images, scale, None, output, jobs) as own:
            for done in each(own, work, division_on(number.device).tiles):
                if progress is not None:
                    progress(done, len(own))
        return output

    def _workspace(self) -> Workspace:
        """Return memory that no other thread has, until this one gives it back."""
        try:
            return self._idle.pop()
        except IndexError:  # this is the first tile, or others have it all
            return Workspace([self, *(module for _, module in self.network.modules())])

    @overload
    def denoise(self, picture: Picture) -> Picture: ...

    @overload
    def denoise(self, picture: Given) -> Given: ...

    def denoise(self, picture: Picture | Array) -> Picture | Array:
        """Return the denoised picture or pictures, of the same kind and dtype, their transparency kept as it is.

        A grey picture goes through a colour network as grey, and a coloured one through a grey network channel by
        channel.

        Args:
            picture: a picture, or a tensor or numpy array of one or more: (H, W), (H, W, C), (C, H, W), (N, H, W),
                (N, H, W, C) or (N, C, H, W), C being 1 or 3, or, as the last of the axes, 4 with transparency. White is
                255 as uint8 and 65,535 as uint16. In floats it is 1 where they are below 4, 255 where they are below
                1024, and 65,535 where they are below four times that; in others it is the largest of them.

        Raises:
            ShapeError: when the shape is another, or the network cannot take pictures of this size.
            DataError: when the network takes pictures of another number of channels, or values are not finite.
            RunError: when the network's answer is not finite.
        """
        if not isinstance(picture, Picture):
            return each_picture(picture, self.denoise)
        channels, pixels = self.input_shape[0], picture.pixels
        scale = nominal(pixels)
        if len(pixels) == channels:
            result = self.restore(pixels[None], scale)[0]
        elif len(pixels) == 1:
            mean = self.restore(pixels.expand(1, channels, -1, -1), scale)[0].double().mean(0, keepdim=True)
            result = (mean if pixels.is_floating_point() else mean.round_()).to(pixels.dtype)
        elif channels == 1:
            result = self.restore(pixels[:, None], scale)[:, 0]
        else:
            raise DataError(f"the network takes pictures of {channels} channels, this one has {len(pixels)}")
        return Picture(result, picture.alpha)

    def _denoise(
        self, job: _Job, images: Tensor, output: Tensor, scale: Scale, workspace: Workspace, number: Tensor
    ) -> None:
        """Put the network's answer to one tile of the pictures into its place in ``output``.

        Args:
            scale: of the pictures.
            number: of the dtype and on the device in which the network works.
        """
        rows, columns, batch = job
        x = _continued(images[batch, :, rows.begin : rows.end, columns.begin : columns.end], rows, columns)
        # Where it always lies, so that what the layers planned for it holds for the next tile as well.
        tile = workspace.empty(self, "tile", tuple(x.shape), number)
        # Bytes are moved to a GPU before they become floats, which take four times as long.
        answer = self.geometry.answer(scale.to_unit(tile.copy_(x.to(tile.device))))
        place = output[batch, :, rows.start : rows.stop, columns.start : columns.stop]
        answer = answer[:, :, rows.answer, columns.answer][:, :, : place.shape[2], : place.shape[3]]
        # If a value is NaN, so are the minimum and the maximum.
        if answer.numel() and not all(end.isfinite() for end in answer.aminmax()):
            raise RunError("the network's answer is not finite: its weights have diverged; train with a smaller step")
        place.copy_(scale.pixels(answer.mul(255), images.dtype))

    @property
    def halo(self) -> int | None:
        """Pixels that a tile reads on each side of its own; None if the network takes no tiles."""
        with Evaluating(self.network), torch.no_grad():
            tiling = self.geometry.tiling
        return None if tiling is None else tiling.halo

    def tiles(self, height: int, width: int, beyond: int = 0, grid: int = 1) -> list[tuple[Span, Span]]:
        """Return the rows and columns of the tiles of a picture.

        Args:
            height, width: of the picture, in pixels.
            beyond: how far around its own pixels the answer to a tile must be right as well.
            grid: tiles begin at multiples of so many pixels, besides those of the network.

        Raises:
            ShapeError: when the network cannot take pictures of this size.
        """
        with Evaluating(self.network), torch.no_grad():
            down, across = self.geometry.tiles(height, width, self.tile, beyond, grid)
        return [(rows, columns) for rows in down for columns in across]

    def _jobs(self, count: int, height: int, width: int, side: int) -> list[_Job]:
        """Return all tiles of ``count`` pictures."""
        down, across = self.geometry.tiles(height, width, side)
        jobs = [
            _Job(rows, columns, batch)
            for rows in down
            for columns in across
            for batch in self._batches(count, rows.read * columns.read)
        ]
        # Tiles of one shape follow one another, because each change of shape allocates and plans memory anew.
        return sorted(jobs, key=lambda job: (job.rows.read, job.columns.read, job.batch.start - job.batch.stop))

    def _batches(self, count: int, pixels: int) -> list[slice]:
        """Return slices of the batch that hold about as many pixels as one tile has."""
        at_once = max(1, self.tile**2 // pixels)
        return [slice(first, min(first + at_once, count)) for first in range(0, count, at_once)]


def _continued(piece: Tensor, rows: Span, columns: Span) -> Tensor:
    """Return a piece (N, C, H, W) of a picture that ends before its tile does, continued by its last row and column."""
    if piece.shape[2:] == (rows.read, columns.read):
        return piece
    down, across = (torch.arange(span.read, device=piece.device) for span in (rows, columns))
    return piece[:, :, down.clamp_(max=piece.shape[2] - 1)[:, None], across.clamp_(max=piece.shape[3] - 1)]
