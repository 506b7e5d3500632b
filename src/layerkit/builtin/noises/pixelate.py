"""The noise of a picture that was made smaller by keeping one random pixel of each block.

A source of (k*H, k*W) pixels is cut into H*W blocks B of k x k pixels. With all channels of a pixel kept together,

    clean[i, j] = mean of source[p] over p in B[i, j]        noisy[i, j] = source[p], p uniform in B[i, j]

so that E[noisy] = clean. The noise is unbiased, independent between pixels, correlated across channels, and strongest
where the picture has texture. It models the pictures of the EPFL EE-559 project ("downsampled, pixelated images"),
which k = 8 fits best.
"""

from __future__ import annotations

from operator import mul
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from layerkit.arithmetic.windows import Pair
from layerkit.contracts.noise import Noise
from layerkit.contracts.specs import NoiseSpec
from layerkit.errors import ShapeError

MAX_BLOCK = 64


MAX_KNOWN = 256
"""How many tables of multiples a noise keeps; few are needed, since the pictures of a training have few sizes."""


class PixelateSpec(NoiseSpec):
    """One random pixel of each block: noisy = source[p], p uniform in a block x block square; clean = its mean."""

    type: Literal["pixelate"] = Field(description="A picture made smaller by keeping one random pixel of each block.")
    block: int = Field(
        default=8, ge=1, le=MAX_BLOCK, description="Side of a block, in source pixels; one block becomes one pixel."
    )

    example: ClassVar[dict[str, Any]] = {"block": 8}

    def build(self) -> Pixelate:
        return Pixelate(self.block)


class Pixelate(Noise):
    """Reduces each ``block`` x ``block`` square of the source to one pixel, drawn at random from the square.

    Args:
        block: the side of a square, in source pixels; also the value of :attr:`scale`.
    """

    picks_pixels = True

    def __init__(self, block: int = 8) -> None:
        self.scale = block
        self._known: dict[tuple[int, int, torch.dtype, torch.device], Tensor] = {}

    def draw(self, source: Tensor, generator: torch.Generator) -> Tensor:
        """Return one random pixel of each block: (N, C, H, W) of a source (N, C, block * H, block * W).

        Only the drawn pixels are read, so a source may be any view of a large picture, of bytes as well as of floats.

        Raises:
            ShapeError: when the source cannot be cut into whole blocks.
        """
        height, width = self._blocks(source)
        count, channels = source.shape[:2]
        noisy = source.new_empty(channels, count, height, width)
        if noisy.numel():
            # The positions of the drawn pixels in memory, relative to the first pixel: that of the block, plus that
            # within the block.
            picture_stride, channel_stride, row_stride, column_stride = source.stride()
            last = (count - 1, source.shape[2] - 1, source.shape[3] - 1)
            reach = 1 + sum(map(mul, last, (picture_stride, row_stride, column_stride)))
            # 32-bit positions are read in less time, where they are large enough.
            short = max(reach, *source.stride()) < 2**31
            dtype, device = torch.int32 if short else torch.int64, source.device
            at = _random_below(self.scale**2, count * height * width, generator)
            within = self._grid((self.scale, self.scale), (row_stride, column_stride), dtype, device)
            blocks = self._grid((height, width), (self.scale * row_stride, self.scale * column_stride), dtype, device)
            pictures = self._multiples(count, picture_stride, dtype, device)
            offsets = within.index_select(0, at)
            offsets.view(count, -1).add_(blocks).add_(pictures[:, None])
            for channel in range(channels):
                flat = source.as_strided((reach,), (1,), source.storage_offset() + channel * channel_stride)
                torch.index_select(flat, 0, offsets, out=noisy[channel].view(-1))
        return noisy.transpose(0, 1)

    def clean(self, source: Tensor) -> Tensor:
        """Return the means of the blocks, which are the clean pictures; shapes and errors are as in :meth:`draw`."""
        height, width = self._blocks(source)
        n, channels, _, columns = source.shape
        rows = source.view(n, channels, height, self.scale, columns).mean(3)  # memory is contiguous along a row
        return rows.view(n, channels, height, width, self.scale).mean(4)

    def _grid(self, sizes: Pair, strides: Pair, dtype: torch.dtype, device: torch.device) -> Tensor:
        """Return ``i * strides[0] + j * strides[1]`` for all i and j below ``sizes``, flat."""
        rows, columns = (self._multiples(sizes[k], strides[k], dtype, device) for k in range(2))
        return (rows[:, None] + columns).view(-1)

    def _multiples(self, count: int, number: int, dtype: torch.dtype, device: torch.device) -> Tensor:
        """Return ``number`` times 0 to ``count - 1``, from a cache, since making them takes a seventh of a draw."""
        key = count, number, dtype, device
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= MAX_KNOWN:  # other threads keep what they have found
                self._known.clear()
            found = self._known[key] = torch.arange(count, dtype=dtype, device=device) * number
        return found

    def _blocks(self, source: Tensor) -> tuple[int, int]:
        """Return the number of blocks of a source, (vertical, horizontal)."""
        if source.dim() != 4 or source.shape[2] % self.scale or source.shape[3] % self.scale:
            raise ShapeError(
                f"pixelate: the source must be (N, C, height, width) with a height and width that are multiples of "
                f"block = {self.scale}, not {tuple(source.shape)}; cut off what is left over"
            )
        return source.shape[2] // self.scale, source.shape[3] // self.scale


def _random_below(bound: int, count: int, generator: torch.Generator) -> Tensor:
    """Return ``count`` random whole numbers from 0 to ``bound - 1``, each equally likely."""
    if 256 % bound:
        return torch.randint(bound, (count,), generator=generator, device=generator.device)
    # The low bits of a random byte are uniform when the bound is a power of two. Drawing eight bytes at once takes a
    # sixth of the time.
    words = torch.empty((count + 7) // 8, dtype=torch.int64, device=generator.device)
    words.random_(-(2**63), None, generator=generator)
    return words.view(torch.uint8)[:count].bitwise_and_(bound - 1).to(torch.int32)
