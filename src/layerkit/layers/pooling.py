"""What the layers that pool windows of a picture share: their sizes, and one direction after the other."""

from __future__ import annotations

from torch import Tensor

from layerkit.errors import ShapeError
from layerkit.layers.windows import Pair, output_size

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


def tap(x: Tensor, dim: int, index: int, stride: int, count: int) -> Tensor:
    """Return, along ``dim``, the values number ``index`` of ``count`` windows ``stride`` apart: a view."""
    return x[(slice(None),) * dim + (slice(index, index + stride * (count - 1) + 1, stride),)]


def spread(grad: Tensor, dim: int, size: int, kernel: int, stride: int) -> Tensor:
    """Return what the windows along ``dim`` give back to ``size`` values: zeros, or nothing yet if each is written."""
    shape = (*grad.shape[:dim], size, *grad.shape[dim + 1 :])
    return grad.new_empty(shape) if size == kernel * grad.shape[dim] and kernel == stride else grad.new_zeros(shape)
