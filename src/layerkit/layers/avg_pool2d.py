"""Mean over windows.

Forward, for an input x (N, C, H, W): y[n, c, p, q] = mean over i, j of x[n, c, p * stride + i - padding, ...], where
zeros stand beyond the border and count, as in torch with ``count_include_pad``.

Backward, each value of a window has the same part in its mean: it takes grad_output / (kh * kw).

A sum over a window is the sum over its rows of the sums within each row, so both passes take one direction after the
other: k + k additions in place of k * k.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from layerkit.component import LayerSpec, Shape
from layerkit.fields import Kernel, Padding, Stride, pair
from layerkit.layers.pooling import COLUMNS, ROWS, pooled_size, spread, taps
from layerkit.layers.windows import channels_first, channels_last, check_pictures, picture_shape
from layerkit.module import Module


class AvgPool2dSpec(LayerSpec):
    """Mean over windows: y[c, p, q] = mean over i, j of x[c, p stride + i - padding, q stride + j - padding].

    Each side of the output is floor((size + 2 padding - kernel_size) / stride) + 1.
    """

    example: ClassVar[dict[str, Any]] = {"kernel_size": 2}

    type: Literal["avg_pool2d"] = Field(description="The name of the layer.")
    kernel_size: Kernel = Field(description="Height and width of the window: one number, or [height, width].")
    stride: Stride | None = Field(default=None, description="Steps between neighbouring windows; null for kernel_size.")
    padding: Padding = Field(
        default=0, description="Rows and columns of zeros on each side, at most half of kernel_size."
    )

    def output_shape(self, input_shape: Shape) -> Shape:
        channels, *size = picture_shape(input_shape, "avg_pool2d")
        kernel = pair(self.kernel_size)
        return channels, *pooled_size(tuple(size), kernel, pair(self.stride or kernel), pair(self.padding))

    def build(self, input_shape: Shape, generator: torch.Generator) -> AvgPool2d:
        return AvgPool2d(self.kernel_size, self.stride, self.padding)

    def reference(self, input_shape: Shape) -> tuple[str, dict[str, Any]]:
        return "AvgPool2d", {"kernel_size": self.kernel_size, "stride": self.stride, "padding": self.padding}


class AvgPool2d(Module):
    """Mean over windows of a picture, with the arguments of its torch namesake.

    Args:
        kernel_size, stride, padding: a number, or (vertical, horizontal); stride is kernel_size when None.
    """

    def __init__(
        self,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] | None = None,
        padding: int | tuple[int, int] = 0,
    ) -> None:
        super().__init__()
        self.kernel_size, self.padding = pair(kernel_size), pair(padding)
        self.stride = pair(stride or kernel_size)

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, C, H_out, W_out) for x (N, C, H, W)."""
        check_pictures(x, None, "AvgPool2d")
        rows, columns = pooled_size(tuple(x.shape[2:]), self.kernel_size, self.stride, self.padding)
        self.save(x.shape[2], x.shape[3])
        # Rows first: they are long and lie next to each other, and there are fewer of them afterwards.
        sums = self._sums(self._sums(channels_last(x), ROWS, rows), COLUMNS, columns)
        return channels_first(sums.mul_(1 / (self.kernel_size[0] * self.kernel_size[1])))

    def backward(self, grad_output: Tensor) -> Tensor:
        """Return (N, C, H, W), each gradient spread evenly over its window."""
        height, width = self.saved()
        grad = channels_last(grad_output) * (1 / (self.kernel_size[0] * self.kernel_size[1]))
        return channels_first(self._spread(self._spread(grad, COLUMNS, width), ROWS, height))

    def _sums(self, x: Tensor, dim: int, count: int) -> Tensor:
        """Return the sums of the windows along ``dim``."""
        kernel, stride, padding = self._along(dim)
        shape = (*x.shape[:dim], count, *x.shape[dim + 1 :])
        # Without padding, the first tap sees something in every window.
        total = self.empty(f"sums {dim}", shape, x)
        if padding:
            total.zero_()
        for tap, (seen, windows) in enumerate(taps(x, count, dim, kernel, stride, padding)):
            if tap or padding:
                total[windows] += x[seen]
            else:
                total.copy_(x[seen])
        return total

    def _spread(self, grad: Tensor, dim: int, size: int) -> Tensor:
        """Return the transpose of :meth:`_sums`."""
        kernel, stride, padding = self._along(dim)
        shape = (*grad.shape[:dim], size, *grad.shape[dim + 1 :])
        result = spread(self.empty(f"grad {dim}", shape, grad), grad.shape[dim], dim, kernel, stride, padding)
        for seen, windows in taps(result, grad.shape[dim], dim, kernel, stride, padding):
            if kernel > stride:
                result[seen] += grad[windows]
            else:
                result[seen] = grad[windows]
        return result

    def _along(self, dim: int) -> tuple[int, int, int]:
        """Return kernel size, stride and padding in the direction of ``dim``."""
        return self.kernel_size[dim - 1], self.stride[dim - 1], self.padding[dim - 1]
