"""The sizes of what layers make that pool windows of a picture."""

from __future__ import annotations

from layerkit.arithmetic.windows import Pair, output_size
from layerkit.errors import ShapeError


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
