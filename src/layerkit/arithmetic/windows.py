"""Sliding windows over pictures, for every layer that has a kernel.

Layers take and return batches of pictures as (N, C, H, W). Internally they work on the same memory with the channels
last, (N, H, W, C): ``permute`` is free, and a window's values lie next to each other, as a matrix product needs them.
"""

from __future__ import annotations

from torch import Tensor

from layerkit.contracts.module import Module
from layerkit.contracts.specs import Shape
from layerkit.errors import ShapeError

Pair = tuple[int, int]

PLANAR_BELOW = 16
"""With fewer channels than this, copies run faster along the picture's rows than along the channels."""


def picture_shape(shape: Shape, who: str) -> tuple[int, int, int]:
    """Return ``shape`` if it is (channels, height, width).

    Raises:
        ShapeError: otherwise.
    """
    if len(shape) != 3:
        raise ShapeError(f"{who} takes pictures (channels, height, width), not a sample of shape {tuple(shape)}")
    channels, height, width = shape
    return channels, height, width


def check_pictures(x: Tensor, channels: int | None, who: str) -> None:
    """Refuse an input that is not (N, channels, H, W).

    Raises:
        ShapeError: when it has another shape.
    """
    if x.dim() != 4 or (channels is not None and x.shape[1] != channels):
        expected = f"(N, {channels or 'C'}, H, W)"
        raise ShapeError(f"{who}: expected an input of {expected}, not {tuple(x.shape)}")


def output_size(size: Pair, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair = (1, 1)) -> Pair:
    """Return (height, width) of the output for a picture of ``size``: floor((size + 2p - d(k-1) - 1) / s) + 1.

    Raises:
        ShapeError: when the kernel is larger than the padded picture.
    """
    height, width = ((size[i] + 2 * padding[i] - dilation[i] * (kernel[i] - 1) - 1) // stride[i] + 1 for i in range(2))
    if height < 1 or width < 1:
        spread = " (dilated)" if dilation != (1, 1) else ""
        padded = f" padded by {padding[0]}x{padding[1]}" if padding != (0, 0) else ""
        raise ShapeError(
            f"kernel_size {kernel[0]}x{kernel[1]}{spread} does not fit an input of {size[0]}x{size[1]}{padded}; "
            "pad it or use a smaller kernel"
        )
    return height, width


def picture_size(x: Tensor) -> Pair:
    """Return (height, width) of pictures (N, C, H, W)."""
    return x.shape[2], x.shape[3]


def framed(x: Tensor, padding: Pair) -> Tensor:
    """Return pictures (N, C, H, W) with ``padding`` (rows, columns) of zeros on each side, in new memory."""
    n, channels, height, width = x.shape
    frame = x.new_zeros(n, channels, height + 2 * padding[0], width + 2 * padding[1])
    unframed(frame, padding).copy_(x)
    return frame


def unframed(x: Tensor, padding: Pair) -> Tensor:
    """Return a view of pictures (N, C, H, W) without ``padding`` (rows, columns) on each side."""
    return x[:, :, padding[0] : x.shape[2] - padding[0], padding[1] : x.shape[3] - padding[1]]


def seen(x: Tensor, tap: Pair, size: Pair, stride: Pair, dilation: Pair) -> Tensor:
    """Return a view (N, C, *size) of the pixels of x (N, C, H, W) that one tap of the kernel meets in all windows.

    In window (p, q), tap (i, j) meets the pixel (p * stride + i * dilation, q * stride + j * dilation).
    """
    top, left = tap[0] * dilation[0], tap[1] * dilation[1]
    bottom, right = top + (size[0] - 1) * stride[0] + 1, left + (size[1] - 1) * stride[1] + 1
    return x[:, :, top : bottom : stride[0], left : right : stride[1]]


def channels_last(x: Tensor) -> Tensor:
    """Return a view of (N, C, H, W) as (N, H, W, C)."""
    return x.permute(0, 2, 3, 1)


def channels_first(x: Tensor) -> Tensor:
    """Return a view of (N, H, W, C) as (N, C, H, W)."""
    return x.permute(0, 3, 1, 2)


def picture_memory(layer: Module, name: str, shape: tuple[int, ...], like: Tensor) -> Tensor:
    """Return the layer's memory for pictures (N, C, H, W), with the channels last or first as in ``like``."""
    n, channels, height, width = shape
    if like.stride(1) == 1:
        return channels_first(layer.empty(name, (n, height, width, channels), like))
    return layer.empty(name, shape, like)
