"""The base classes of pooling layers: their fields, arguments and output sizes."""

from __future__ import annotations

from typing import Any

from pydantic import Field
from torch import Tensor

from layerkit.arithmetic.windows import Pair, check_pictures, output_size, picture_shape, picture_size
from layerkit.contracts.fields import Kernel, Padding, Stride, pair
from layerkit.contracts.module import Module
from layerkit.contracts.specs import LayerSpec, Shape
from layerkit.errors import ShapeError


class PoolingSpec(LayerSpec):
    """The fields of all pooling layers."""

    kernel_size: Kernel = Field(description="Height and width of the window: one number, or [height, width].")
    stride: Stride | None = Field(default=None, description="Steps between neighbouring windows; null: kernel_size.")
    padding: Padding = Field(
        default=0, description="Rows and columns beyond the border, on each side, at most half of kernel_size."
    )

    def output_shape(self, input_shape: Shape) -> Shape:
        channels, height, width = picture_shape(input_shape, self.name())
        kernel = pair(self.kernel_size)
        return channels, *_pooled_size((height, width), kernel, pair(self.stride or kernel), pair(self.padding))

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of the layer, which are those of its torch namesake."""
        return self.model_dump(exclude={"type"})


class Pooling(Module):
    """A layer that reduces each window of a picture to one number, with the arguments of its torch namesake.

    Args:
        kernel_size: the size of a window, a number or (vertical, horizontal), as are the other arguments.
        stride: steps between neighbouring windows; kernel_size when None.
        padding: rows and columns beyond the border, on each side.
    """

    def __init__(self, kernel_size: int | Pair, stride: int | Pair | None = None, padding: int | Pair = 0) -> None:
        super().__init__()
        self.kernel_size, self.padding = pair(kernel_size), pair(padding)
        self.stride = pair(stride or kernel_size)

    def output_size(self, x: Tensor) -> Pair:
        """Return (height, width) of the output for x (N, C, H, W).

        Raises:
            ShapeError: when x is not a batch of pictures, or too small.
        """
        check_pictures(x, None, type(self).__name__)
        return _pooled_size(picture_size(x), self.kernel_size, self.stride, self.padding)


def _pooled_size(size: Pair, kernel: Pair, stride: Pair, padding: Pair) -> Pair:
    """Return (height, width) of the output for a picture of ``size``.

    Raises:
        ShapeError: when a window is larger than the padded picture, or could lie wholly in the padding.
    """
    if any(2 * padding[i] > kernel[i] for i in range(2)):
        raise ShapeError(
            f"padding {padding[0]}x{padding[1]} is more than half of kernel_size {kernel[0]}x{kernel[1]}, so a window "
            "could lie outside the picture; use less padding"
        )
    return output_size(size, kernel, stride, padding)
