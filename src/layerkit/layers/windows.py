"""Sliding windows over pictures, for every layer that has a kernel.

Outside, a batch of pictures is (N, C, H, W). Inside, the layers work on the same memory with the channels last,
(N, H, W, C): ``permute`` is free, and a window's values lie next to each other as a matrix product wants them.
"""

from __future__ import annotations

from torch import Tensor

from layerkit.component import Shape
from layerkit.errors import ShapeError

Pair = tuple[int, int]

PLANAR_BELOW = 16
"""With fewer channels than this, copies run faster along the picture's rows than along the channels."""


def picture_shape(shape: Shape, who: str) -> Shape:
    """Return ``shape`` if it is (channels, height, width).

    Raises:
        ShapeError: otherwise.
    """
    if len(shape) != 3:
        raise ShapeError(f"{who} takes pictures (channels, height, width), not a sample of shape {tuple(shape)}")
    return shape


def check_pictures(x: Tensor, channels: int | None, who: str) -> None:
    """Refuse an input that is not (N, channels, H, W).

    Raises:
        ShapeError: with what was expected and given.
    """
    if x.dim() != 4 or (channels is not None and x.shape[1] != channels):
        expected = f"(N, {channels or 'C'}, H, W)"
        raise ShapeError(f"{who}: expected an input of {expected}, not {tuple(x.shape)}")


def output_size(size: Pair, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair = (1, 1)) -> Pair:
    """Return (height, width) of what a kernel makes of a picture of ``size``: floor((size + 2p - d(k-1) - 1) / s) + 1.

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


def channels_last(x: Tensor) -> Tensor:
    """Return (N, C, H, W) as (N, H, W, C): a view."""
    return x.permute(0, 2, 3, 1)


def channels_first(x: Tensor) -> Tensor:
    """Return (N, H, W, C) as (N, C, H, W): a view."""
    return x.permute(0, 3, 1, 2)


def padded(x: Tensor, vertical: Pair, horizontal: Pair, value: float = 0.0, out: Tensor | None = None) -> Tensor:
    """Return (N, H, W, C) with rows and columns of ``value`` (before, after) around it; ``x`` itself if there are none.

    Args:
        out: where to put it, of that size; by default a new tensor.
    """
    if not any(vertical) and not any(horizontal):
        return x
    n, height, width, channels = x.shape
    if out is None:
        out = x.new_empty(n, height + sum(vertical), width + sum(horizontal), channels)
    out.fill_(value)
    out[:, vertical[0] : vertical[0] + height, horizontal[0] : horizontal[0] + width] = x
    return out


def windows(x: Tensor, kernel: Pair, stride: Pair, dilation: Pair = (1, 1)) -> Tensor:
    """Return all windows of (N, H, W, C) as a view (N, H_out, W_out, kh, kw, C)."""
    n, height, width, channels = x.shape
    rows, columns = output_size((height, width), kernel, stride, (0, 0), dilation)
    by_n, by_row, by_column, by_channel = x.stride()
    return x.as_strided(
        (n, rows, columns, *kernel, channels),
        (
            by_n,
            by_row * stride[0],
            by_column * stride[1],
            by_row * dilation[0],
            by_column * dilation[1],
            by_channel,
        ),
    )


def add_windows(grad: Tensor, stride: Pair, result: Tensor, dilation: Pair = (1, 1)) -> Tensor:
    """Fill ``result`` with the transpose of :func:`windows`: each value is added where its window took it from.

    Args:
        grad: (N, H_out, W_out, kh, kw, C).
        result: (N, H, W, C), contiguous, of the size the windows were taken from; zero where no window reached.
    """
    _, rows, columns, kh, kw, _ = grad.shape
    if kh <= stride[0] and kw <= stride[1] and dilation == (1, 1):
        # Windows that do not overlap: every value has one place.
        if (rows * kh, columns * kw) != tuple(result.shape[1:3]):
            result.zero_()
        windows(result, (kh, kw), stride).copy_(grad)
        return result
    result.zero_()
    for i in range(kh):
        for j in range(kw):
            top, left = i * dilation[0], j * dilation[1]
            result[
                :,
                top : top + stride[0] * (rows - 1) + 1 : stride[0],
                left : left + stride[1] * (columns - 1) + 1 : stride[1],
            ] += grad[:, :, :, i, j]
    return result
