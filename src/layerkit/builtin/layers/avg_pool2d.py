"""Mean over windows.

Forward, for an input x (N, C, H, W): y[n, c, p, q] = mean over i, j of x[n, c, p * stride + i - padding, ...], where
zeros stand beyond the border and count, as in torch with ``count_include_pad``.

Backward, each value of a window has the same part in its mean: it takes grad_output / (kh * kw).

Both are sums as in :mod:`layerkit.arithmetic.sums`, with one kind and the factors 1 / kh and 1 / kw: window q holds the
rows s q + i - padding of x.
"""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from layerkit.arithmetic.axes import Axis, Term
from layerkit.arithmetic.sums import Sums, Work, one_kind
from layerkit.arithmetic.windows import Pair, channels_last, check_pictures, picture_memory, picture_shape
from layerkit.builtin.layers.pooling import pooled_size
from layerkit.contracts.fields import Kernel, Padding, Stride, pair
from layerkit.contracts.module import Module
from layerkit.contracts.specs import LayerSpec, Shape


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
        self._sums = Sums(*map(_axis, self.kernel_size, self.stride, self.padding))

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, C, H_out, W_out) for x (N, C, H, W)."""
        check_pictures(x, None, "AvgPool2d")
        size = pooled_size(tuple(x.shape[2:]), self.kernel_size, self.stride, self.padding)
        self.save(x.shape)
        return self.carry_out("forward", (x,), lambda: self._plan_forward(x, size)).result

    def _plan_forward(self, x: Tensor, size: Pair) -> Work:
        y = picture_memory(self, "y", (*x.shape[:2], *size), x)
        memory = partial(self.scratch, "halfway", like=x)
        return Work(self._sums.combine_transposed(channels_last(x), one_kind(y), memory), y)

    def backward(self, grad_output: Tensor) -> Tensor:
        """Return (N, C, H, W), each gradient spread evenly over its window."""
        (shape,) = self.saved()
        return self.carry_out("backward", (grad_output,), lambda: self._plan_backward(grad_output, shape)).result

    def _plan_backward(self, grad_output: Tensor, shape: torch.Size) -> Work:
        grad_x = picture_memory(self, "grad_input", shape, grad_output)
        memory = partial(self.scratch, "halfway", like=grad_output)
        return Work(self._sums.combine(one_kind(grad_output), channels_last(grad_x), memory), grad_x)


def _axis(kernel: int, stride: int, padding: int) -> Axis:
    """Return the terms whose transpose makes window q of the rows s q + i - padding."""
    places = [divmod(tap - padding, stride) for tap in range(kernel)]
    return Axis(stride, 1, tuple(Term(phase, 0, -row, 1 / kernel) for row, phase in places))
