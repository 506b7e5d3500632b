"""Converts pixels: to other types of numbers, other channels, other sizes."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from layerkit.data.pictures.scale import WHITES


def unit(values: Tensor) -> Tensor:
    """Return values as float32 from 0 to 1, in memory of their own: of 8 or 16 bits, or floats from 0 to 255."""
    return values.to(torch.float32, copy=True).mul_(1 / WHITES.get(values.dtype, 255.0))


def with_channels(pixels: Tensor, channels: int) -> Tensor:
    """Return a picture (C, H, W) with 1 or 3 channels, of its dtype; gray is the luma of ITU-R BT.601."""
    if pixels.shape[0] == channels:
        return pixels
    if channels == 3:
        return pixels.expand(3, -1, -1)
    red, green, blue = pixels.float().unbind()
    luma: Tensor = 0.299 * red + 0.587 * green + 0.114 * blue
    return (luma if pixels.is_floating_point() else luma.round_()).to(pixels.dtype)[None]


def resized(pixels: Tensor, height: int, width: int) -> Tensor:
    """Return a picture, 8 or 16 bits (C, H, W), in another size, smoothed against aliasing."""
    planes = []
    for plane in pixels.numpy():
        # Pillow resizes 8 bits and floats.
        given = Image.fromarray(plane if plane.dtype == np.uint8 else plane.astype(np.float32))
        values = np.asarray(given.resize((width, height), Image.Resampling.LANCZOS))
        planes.append(values if plane.dtype == np.uint8 else values.round().clip(0, WHITES[pixels.dtype]))
    return torch.from_numpy(np.stack(planes)).to(pixels.dtype)


def mirrored(pixels: Tensor) -> Tensor:
    """Return a picture (C, H, W) mirrored from left to right, in memory of its own."""
    # Not by flip, which torch lacks for 16 bits.
    return pixels.index_select(2, torch.arange(pixels.shape[2] - 1, -1, -1, device=pixels.device))


def with_sixteen_bits(pixels: Tensor) -> Tensor:
    """Return a picture of 8 or 16 bits as one of 16."""
    return pixels if pixels.dtype == torch.uint16 else pixels.int().mul_(257).to(torch.uint16)


def middle(pixels: Tensor, side: int) -> Tensor:
    """Return the middle of pictures (..., H, W), at most ``side`` pixels high and wide, in shared memory."""
    height, width = pixels.shape[-2:]
    top, left = max(0, height - side) // 2, max(0, width - side) // 2
    return pixels[..., top : top + side, left : left + side]
