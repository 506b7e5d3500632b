"""Mean over windows.

Forward, for an input x (N, C, H, W): y[n, c, p, q] = mean over i, j of x[n, c, p * stride + i - padding, ...], where
values beyond the border are zeros that count, as in torch with ``count_include_pad``.

Backward, each value of a window has the same share in the mean: its gradient is grad_output / (kh * kw).

Both are sums as in :mod:`layerkit.arithmetic.sums`, with the picture itself as the only product and the factors 1 / kh
and 1 / kw: window q holds the rows s q + i - padding of x.
"""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from layerkit.arithmetic.axes import Axis, Term
from layerkit.arithmetic.passes import Pass
from layerkit.arithmetic.sums import Sums, single
from layerkit.arithmetic.windows import Pair, channels_last, picture_memory
from layerkit.builtin.layers.pooling import Pooling, PoolingSpec
from layerkit.contracts.specs import Shape


class AvgPool2dSpec(PoolingSpec):
    """Mean over windows: y[c, p, q] = mean over i, j of x[c, p stride + i - padding, q stride + j - padding].

    Values beyond the border are zeros that count. Each side of the output is
    floor((size + 2 padding - kernel_size) / stride) + 1.
    """

    example: ClassVar[dict[str, Any]] = {"kernel_size": 2}

    type: Literal["avg_pool2d"] = Field(description="The name of the layer.")

    def build(self, input_shape: Shape, generator: torch.Generator) -> AvgPool2d:
        return AvgPool2d(**self.arguments())

    def reference(self, input_shape: Shape) -> tuple[str, dict[str, Any]]:
        return "AvgPool2d", self.arguments()


class AvgPool2d(Pooling):
    """Mean over windows of a picture; the arguments are those of :class:`~layerkit.builtin.layers.pooling.Pooling`."""

    def __init__(self, kernel_size: int | Pair, stride: int | Pair | None = None, padding: int | Pair = 0) -> None:
        super().__init__(kernel_size, stride, padding)
        self._sums = Sums(*map(_axis, self.kernel_size, self.stride, self.padding))

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, C, H_out, W_out) for x (N, C, H, W).

        Raises:
            ShapeError: when x is not a batch of pictures, or too small.
        """
        size = self.output_size(x)
        self.save(x.shape)
        return self.carry_out("forward", (x,), lambda: self._plan_forward(x, size)).result

    def _plan_forward(self, x: Tensor, size: Pair) -> Pass[Tensor]:
        y = picture_memory(self, "y", (*x.shape[:2], *size), x)
        memory = partial(self.scratch, "halfway", like=x)
        return Pass(self._sums.combine_transposed(channels_last(x), single(y), memory), y)

    def backward(self, grad_output: Tensor) -> Tensor:
        """Return (N, C, H, W), each gradient spread evenly over its window."""
        (shape,) = self.saved()
        return self.carry_out("backward", (grad_output,), lambda: self._plan_backward(grad_output, shape)).result

    def _plan_backward(self, grad_output: Tensor, shape: torch.Size) -> Pass[Tensor]:
        grad_x = picture_memory(self, "grad_input", shape, grad_output)
        memory = partial(self.scratch, "halfway", like=grad_output)
        return Pass(self._sums.combine(single(grad_output), channels_last(grad_x), memory), grad_x)


def _axis(kernel: int, stride: int, padding: int) -> Axis:
    """Return the terms whose transpose computes window q from the rows s q + i - padding."""
    places = [divmod(tap - padding, stride) for tap in range(kernel)]
    return Axis(stride, 1, tuple(Term(phase, 0, -row, 1 / kernel) for row, phase in places))
