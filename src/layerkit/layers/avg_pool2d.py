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
from layerkit.layers.pooling import COLUMNS, ROWS, pooled_size, spread, tap
from layerkit.layers.windows import channels_first, channels_last, check_pictures, padded, picture_shape
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
        framed = channels_last(x)
        if self.padding != (0, 0):
            framed = padded(framed, (self.padding[0],) * 2, (self.padding[1],) * 2)
        self.save(framed.shape[1], framed.shape[2])
        # Rows first: they are long and lie next to each other, and there are fewer of them afterwards.
        sums = self._sums(self._sums(framed, ROWS, rows), COLUMNS, columns)
        return channels_first(sums.mul_(1 / (self.kernel_size[0] * self.kernel_size[1])))

    def backward(self, grad_output: Tensor) -> Tensor:
        """Return (N, C, H, W), each gradient spread evenly over its window."""
        height, width = self.saved()
        grad = channels_last(grad_output) * (1 / (self.kernel_size[0] * self.kernel_size[1]))
        grad = self._spread(self._spread(grad, COLUMNS, width), ROWS, height)
        top, left = self.padding
        return channels_first(grad[:, top : height - top, left : width - left])

    def _sums(self, x: Tensor, dim: int, count: int) -> Tensor:
        """Return the sums of the windows along ``dim``."""
        kernel, stride = self.kernel_size[dim - 1], self.stride[dim - 1]
        first = tap(x, dim, 0, stride, count)
        if kernel == 1:
            return first.clone()
        total = first + tap(x, dim, 1, stride, count)
        for index in range(2, kernel):
            total += tap(x, dim, index, stride, count)
        return total

    def _spread(self, grad: Tensor, dim: int, size: int) -> Tensor:
        """Return the transpose of :meth:`_sums`."""
        kernel, stride, count = self.kernel_size[dim - 1], self.stride[dim - 1], grad.shape[dim]
        result = spread(grad, dim, size, kernel, stride)
        for index in range(kernel):
            target = tap(result, dim, index, stride, count)
            if kernel > stride:
                target += grad
            else:
                target.copy_(grad)
        return result
