"""From noisy pictures of any size to clean ones, through a network that was trained on small crops.

A network takes only some sizes: with two convolutions of stride 2, multiples of 4. And a large picture does not fit
into memory at once. So a picture is continued at the bottom and the right, by repeating its edge, up to a size that the
network keeps, and walked in tiles that overlap just enough for every pixel to come out as if the picture had gone
through in one piece.

What that takes is measured on the network itself, so that it holds for every layer, a stranger's too:

- *step* and *smallest*: the network keeps the sizes that are multiples of ``step`` and at least ``smallest``.
- *grid*: shifting the picture by a multiple of ``grid`` shifts the answer. Tiles begin at such multiples.
- *reach*: how many pixels away a pixel, or the edge of a tile, can be felt.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import NamedTuple, Self

import torch
from torch import Tensor

from layerkit.checkpoints.checkpoint import load
from layerkit.contracts.module import Module
from layerkit.contracts.workspace import Workspace
from layerkit.data.pictures import Picture
from layerkit.denoising.geometry import _round_up, _Span, _spans, _whole
from layerkit.errors import DataError, RunError, ShapeError, UserError

LARGEST_STEP = 64
"""Six halvings of the picture; networks that need sizes to be multiples of more are treated as of fixed size."""
PROBE_SIDES = (128, 512)
"""Sides, in pixels, of the square pictures on which a network is measured; a third of it can be seen as reach."""


class _Job(NamedTuple):
    """A tile of some of the pictures."""

    rows: _Span
    columns: _Span
    batch: slice


class Denoiser:
    """Denoises pictures of any size with a network.

    Args:
        network: maps (N, C, H, W), values from 0 to 1, to the same shape, for those sizes that it keeps.
        input_shape: (C, H, W) that the network was declared for.
        tile: side of the tiles in which large pictures are processed, in pixels; it bounds the memory, not the result.

    Raises:
        UserError: when ``tile`` is less than 1.
    """

    def __init__(self, network: Module, input_shape: tuple[int, int, int], tile: int = 256) -> None:
        if tile < 1:
            raise UserError(f"a tile must be at least 1 pixel wide, not {tile}")
        self.network = network
        self.input_shape = input_shape
        self.tile = tile

    @classmethod
    def load(cls, path: str | Path, tile: int = 256) -> Self:
        """Return the denoiser in a checkpoint.

        Raises:
            CheckpointError: when the file is missing, damaged, or no checkpoint.
        """
        checkpoint = load(path)
        shape = checkpoint.architecture.input
        return cls(checkpoint.network, (shape.channels, shape.height, shape.width), tile)

    def predict(self, images: Tensor, progress: Callable[[int, int], None] | None = None) -> Tensor:
        """Return the denoised pictures, of the same shape, dtype and device as ``images``.

        The network is put into evaluation mode, and works in its own dtype on its own device.

        Args:
            images: (N, C, H, W), any N and size, values from 0 to 255 as uint8 or any floats. The result has values
                from 0 to 255 too, rounded if they are uint8.
            progress: called with the number of finished tiles and that of all tiles after each.

        Raises:
            ShapeError: when ``images`` does not have that shape, or the network cannot take pictures of this size.
            DataError: when the values are of another kind, or not finite.
            RunError: when the network's answer is not finite.
        """
        self._check(images)
        self.network.eval()
        output = torch.empty(images.shape, dtype=images.dtype, device=images.device)
        jobs = self._jobs(len(images), *images.shape[2:])
        workspace, number = Workspace(), self._number
        with torch.no_grad(), self.network.working_in(workspace):
            for done, job in enumerate(jobs, start=1):
                self._denoise(job, images, output, workspace, number)
                if progress is not None:
                    progress(done, len(jobs))
        return output

    def _check(self, images: Tensor) -> None:
        channels = self.input_shape[0]
        if images.dim() != 4 or images.shape[1] != channels or 0 in images.shape[1:]:
            raise ShapeError(f"expected pictures of shape (N, {channels}, H, W), not {tuple(images.shape)}")
        if images.dtype != torch.uint8 and not images.is_floating_point():
            raise DataError(f"expected values from 0 to 255 as uint8 or floats, not {images.dtype}")

    def _denoise(self, job: _Job, images: Tensor, output: Tensor, workspace: Workspace, number: Tensor) -> None:
        """Put the network's answer to one tile of the pictures into its place in ``output``.

        Args:
            number: of the dtype and on the device in which the network works.
        """
        rows, columns, batch = job
        x = _continued(images[batch, :, rows.begin : rows.end, columns.begin : columns.end], rows, columns)
        if not _finite(x):
            raise DataError("the pictures hold values that are not finite; expected values from 0 to 255")
        # Where it always lies, so that what the layers planned for it holds for the next tile as well.
        tile = workspace.empty(self, "tile", tuple(x.shape), number)
        answer = self._run(tile.copy_(x).div_(255))
        place = output[batch, :, rows.start : rows.stop, columns.start : columns.stop]
        answer = answer[:, :, rows.answer, columns.answer][:, :, : place.shape[2], : place.shape[3]].mul(255)
        if not _finite(answer):
            raise RunError("the network's answer is not finite: its weights have diverged; train with a smaller step")
        answer.clamp_(0, 255)
        place.copy_(answer if images.is_floating_point() else answer.round_())

    def _run(self, x: Tensor) -> Tensor:
        answer = self.network(x)
        if answer.shape != x.shape:
            raise ShapeError(
                f"the network turns {tuple(x.shape)} into {tuple(answer.shape)}; "
                "a denoiser must return pictures of the size it was given"
            )
        return answer

    @property
    def _number(self) -> Tensor:
        """A tensor of the dtype and on the device in which the network works."""
        tensors = (tensor for tensor in self.network.state_dict().values() if tensor.is_floating_point())
        return next(tensors, torch.empty(0))

    @property
    def halo(self) -> int | None:
        """Pixels that a tile reads around its own, for the network sees so far; None where it takes no tiles."""
        self.network.eval()
        with torch.no_grad():
            if self._sizes is None or self._tiling is None:
                return None
            grid, reach = self._tiling
            return _round_up(reach, grid)

    # Tiles

    def _jobs(self, count: int, height: int, width: int) -> list[_Job]:
        """Return all tiles of ``count`` pictures."""
        down, across = self._tiles(height, width)
        jobs = [
            _Job(rows, columns, batch)
            for rows in down
            for columns in across
            for batch in self._batches(count, rows.read * columns.read)
        ]
        # Those of one shape after one another: memory, and what is planned for it, is made anew for every change.
        return sorted(jobs, key=lambda job: (job.rows.read, job.columns.read, job.batch.start - job.batch.stop))

    def _batches(self, count: int, pixels: int) -> list[slice]:
        """Return slices of the batch that hold about as many pixels as one tile has."""
        at_once = max(1, self.tile**2 // pixels)
        return [slice(first, min(first + at_once, count)) for first in range(0, count, at_once)]

    def _tiles(self, height: int, width: int) -> tuple[list[_Span], list[_Span]]:
        """Return the tiles along the height and along the width."""
        declared = (height, width) == self.input_shape[1:]
        if declared and max(height, width) <= self.tile:
            return _whole(height), _whole(width)
        if self._sizes is None:
            if not declared:
                self._run(self._number.new_zeros(1, *self.input_shape))  # fails if it is no denoiser at all
                raise ShapeError(
                    f"the network only takes pictures of {self.input_shape[1]}x{self.input_shape[2]}, not "
                    f"{height}x{width}; cut or resize them, or use a network without layers of fixed size"
                )
            return _whole(height), _whole(width)
        step, smallest = self._sizes
        height, width = (max(smallest, _round_up(size, step)) for size in (height, width))
        if max(height, width) <= self.tile or self._tiling is None:
            return _whole(height), _whole(width)
        grid, reach = self._tiling
        most, halo = max(grid, self.tile // grid * grid), _round_up(reach, grid)
        spans = []
        for size in (height, width):
            core = _round_up(-(-size // -(-size // most)), grid)  # no smaller rest at the end
            spans.append(_spans(size, grid, core, halo, _round_up(smallest, grid)))
        return tuple(spans)

    # Measurements

    @cached_property
    def _sizes(self) -> tuple[int, int] | None:
        """The step and the smallest of the sizes that the network keeps; None if it is of fixed size."""
        for step in range(1, LARGEST_STEP + 1):
            largest = PROBE_SIDES[0] // step * step
            # Where two neighbouring multiples are kept, whatever divides both divides the step.
            if self._keeps(largest) and self._keeps(largest - step):
                return step, next(size for size in range(step, largest, step) if self._keeps(size))
        return None

    def _keeps(self, side: int) -> bool:
        x = self._number.new_zeros(1, self.input_shape[0], side, side)
        try:
            return self.network(x).shape == x.shape
        except (ValueError, RuntimeError):  # ShapeError, or what torch raises inside a layer that does not check
            return False

    @cached_property
    def _tiling(self) -> tuple[int, int] | None:
        """The grid and the reach; None if the network sees the whole picture, or too much of it to be worth tiles."""
        step, smallest = self._sizes
        for side in PROBE_SIDES:
            for grid in (step, 2 * step, 4 * step, 8 * step):
                if grid <= LARGEST_STEP:
                    reach = self._reach(grid, _round_up(max(side, 6 * grid, smallest + 2 * grid), grid))
                    if reach is not None:
                        return grid, reach
        return None

    def _reach(self, grid: int, side: int) -> int | None:
        """Return how far pixels and edges can be felt, or None where that is more than a third of ``side`` pixels."""
        generator = torch.Generator().manual_seed(0)
        picture = torch.rand(1, self.input_shape[0], side, side, generator=generator).to(self._number)
        whole = self._run(picture)
        # NaN survives all arithmetic: it marks whatever depends on a block of pixels, even through weights of 0.
        middle = side // 2 // grid * grid
        marked = picture.clone()
        marked[:, :, middle : middle + grid, middle : middle + grid] = torch.nan
        felt = _differing(self._run(marked), whole)
        spread = torch.maximum(middle - felt, felt - (middle + grid - 1)).max().item() if len(felt) else 0
        if spread >= side // 3:
            return None
        # The layers inside the network pad the edge of a tile. If the grid is right, that is felt near the edge only.
        inside = slice(grid, side - grid)
        felt = _differing(self._run(picture[:, :, inside, inside]), whole[:, :, inside, inside])
        last = side - 2 * grid - 1
        depth = torch.minimum(felt, last - felt).amin(1).max().item() + 1 if len(felt) else 0
        return max(0, spread, depth) if depth < side // 3 else None


def _continued(piece: Tensor, rows: _Span, columns: _Span) -> Tensor:
    """Return a piece (N, C, H, W) of a picture that ends before its tile does, continued by its last row and column."""
    if piece.shape[2:] == (rows.read, columns.read):
        return piece
    down, across = (torch.arange(span.read, device=piece.device) for span in (rows, columns))
    return piece[:, :, down.clamp_(max=piece.shape[2] - 1)[:, None], across.clamp_(max=piece.shape[3] - 1)]


def _finite(values: Tensor) -> bool:
    if not values.is_floating_point() or not values.numel():
        return True
    return all(end.isfinite() for end in values.aminmax())  # NaN is least and greatest of any numbers it is among


def _differing(first: Tensor, second: Tensor) -> Tensor:
    """Return the (row, column) of every pixel in which two pictures differ by more than rounding: (K, 2)."""
    tolerance = 100 * torch.finfo(first.dtype).eps
    return (~first.isclose(second, rtol=0, atol=tolerance)).any(1).any(0).nonzero()


def denoised(denoiser: Denoiser, picture: Picture) -> Picture:
    """Return the denoised picture; a grey one goes through a colour network as grey, and a coloured one through a grey
    network channel by channel. Transparency is kept as it is.
    """
    channels = denoiser.input_shape[0]
    pixels = picture.pixels
    if len(pixels) == channels:
        result = denoiser.predict(pixels[None])[0]
    elif len(pixels) == 1:
        result = denoiser.predict(pixels.expand(1, channels, -1, -1))[0].float().mean(0, keepdim=True).round().byte()
    elif channels == 1:
        result = denoiser.predict(pixels[:, None])[:, 0]
    else:
        raise DataError(f"the network takes pictures of {channels} channels, this one has {len(pixels)}")
    return Picture(result, picture.alpha)
