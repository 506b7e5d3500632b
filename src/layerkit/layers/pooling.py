"""What the layers that pool windows of a picture share: their sizes, and one direction after the other."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor

from layerkit.errors import ShapeError
from layerkit.layers.windows import Pair, output_size

Index = tuple[slice, ...]
ROWS, COLUMNS = 1, 2
"""The dimensions of (N, H, W, C)."""


def pooled_size(size: Pair, kernel: Pair, stride: Pair, padding: Pair) -> Pair:
    """Return (height, width) of what windows make of a picture of ``size``.

    Raises:
        ShapeError: when a window is larger than the padded picture, or could lie wholly in the padding.
    """
    if any(2 * padding[i] > kernel[i] for i in range(2)):
        raise ShapeError(
            f"padding {padding[0]}x{padding[1]} is more than half of kernel_size {kernel[0]}x{kernel[1]}, and a window "
            "could hold nothing of the picture; use less padding"
        )
    return output_size(size, kernel, stride, padding)


def taps(x: Tensor, count: int, dim: int, kernel: int, stride: int, padding: int) -> Iterator[tuple[Index, Index]]:
    """Yield for each tap of the windows along ``dim`` the index of what it sees in x, and that of the windows which do.

    Args:
        x: what the windows are taken from, (N, H, W, C).
        count: the number of windows.
        padding: nothing before and behind x; some taps of a window there see nothing.
    """
    around = (slice(None),) * dim
    for offset in range(-padding, kernel - padding):
        first = max(0, -(offset // stride))
        last = min(count - 1, (x.shape[dim] - 1 - offset) // stride)
        if last < first:
            yield (*around, slice(0, 0)), (*around, slice(0, 0))
        else:
            start, stop = first * stride + offset, last * stride + offset + 1
            yield (*around, slice(start, stop, stride)), (*around, slice(first, last + 1))


def spread(memory: Tensor, count: int, dim: int, kernel: int, stride: int, padding: int) -> Tensor:
    """Return ``memory``, into which ``count`` windows along ``dim`` give back: zeros, unless each value is written."""
    covered = memory.shape[dim] == kernel * count and kernel == stride and not padding
    return memory if covered else memory.zero_()
