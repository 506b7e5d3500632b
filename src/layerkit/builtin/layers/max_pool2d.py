"""Maximum over windows.

Forward, for an input x (N, C, H, W): y[n, c, p, q] = max over i, j of x[n, c, p * stride + i - padding, ...], where
values beyond the border count as minus infinity.

Backward, the gradient goes to the value that was the maximum; among equal values to the first, row by row, as in torch.

A maximum over a window is the maximum over its rows of the maxima within each row, so both passes handle one direction
after the other, with k + k comparisons in place of k * k. In each direction the maximum is updated tap by tap,

    m_0 = x_0,    m_t = max(m_(t-1), x_t),    won_t = 1[x_t > m_(t-1)],

so that won_t is 1 where tap t is larger than all taps before it, else 0. Backward, from the last tap to the first, a
tap takes the gradient where it won and leaves the rest to the taps before it: grad_t = won_t * rest, rest <- rest -
grad_t.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from layerkit.arithmetic.windows import channels_first, channels_last
from layerkit.builtin.layers.pooling import Pooling, PoolingSpec
from layerkit.contracts.specs import Shape

Index = tuple[slice, ...]
ROWS, COLUMNS = 1, 2
"""The dimensions of (N, H, W, C)."""


class MaxPool2dSpec(PoolingSpec):
    """Maximum over windows: y[c, p, q] = max over i, j of x[c, p stride + i - padding, q stride + j - padding].

    Values beyond the border do not count. Each side of the output is floor((size + 2 padding - kernel_size) / stride) +
    1.
    """

    kinked = True
    example: ClassVar[dict[str, Any]] = {"kernel_size": 2}

    type: Literal["max_pool2d"] = Field(description="The name of the layer.")

    def build(self, input_shape: Shape, generator: torch.Generator) -> MaxPool2d:
        return MaxPool2d(**self.arguments())

    def reference(self, input_shape: Shape) -> tuple[str, dict[str, Any]]:
        return "MaxPool2d", self.arguments()


class MaxPool2d(Pooling):
    """Maximum over windows; the arguments are those of :class:`~layerkit.builtin.layers.pooling.Pooling`."""

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, C, H_out, W_out) for x (N, C, H, W).

        Raises:
            ShapeError: when x is not a batch of pictures, or too small.
        """
        rows, columns = self.output_size(x)
        narrow, won_columns = self._maxima(channels_last(x), COLUMNS, columns)
        y, won_rows = self._maxima(narrow, ROWS, rows)
        self.save(x.shape[2], x.shape[3], won_columns, won_rows)
        return channels_first(y)

    def backward(self, grad_output: Tensor) -> Tensor:
        """Return (N, C, H, W), with each gradient at the place of its maximum."""
        height, width, won_columns, won_rows = self.saved()
        grad = self._to_winners(channels_last(grad_output), ROWS, height, won_rows)
        return channels_first(self._to_winners(grad, COLUMNS, width, won_columns))

    def _maxima(self, x: Tensor, dim: int, count: int) -> tuple[Tensor, list[Tensor]]:
        """Return the maxima along ``dim``, and for each tap except the first, where it won."""
        kernel, stride, padding = self._along(dim)
        shape = (*x.shape[:dim], count, *x.shape[dim + 1 :])
        won: list[Tensor] = []
        taps = list(enumerate(_taps(x, count, dim, kernel, stride, padding)))
        if padding:
            maximum = self.empty(f"maximum {dim}", shape, x).fill_(float("-inf"))
        else:  # the first tap of every window is inside the picture
            (_, (seen, _)), *taps = taps
            maximum = x[seen] if kernel > 1 else x[seen].clone()
        for tap, (seen, windows) in taps:
            before = maximum[windows]
            larger = torch.maximum(before, x[seen], out=self.empty(f"larger {dim} {tap}", before.shape, x))
            if tap and self.training:
                # As numbers, because products with a boolean mask are several times slower. Infinity minus infinity is
                # NaN, whose sign torch takes as 0, which is right: an equal value does not win.
                won.append(torch.sub(larger, before, out=self.empty(f"won {dim} {tap}", before.shape, x)).sign_())
            if padding:
                before.copy_(larger)
            else:
                maximum = larger
        return maximum, won

    def _to_winners(self, grad: Tensor, dim: int, size: int, won: list[Tensor]) -> Tensor:
        """Return the transpose of :meth:`_maxima`."""
        kernel, stride, padding = self._along(dim)
        shape = (*grad.shape[:dim], size, *grad.shape[dim + 1 :])
        result = _spread(self.empty(f"grad {dim}", shape, grad), grad.shape[dim], dim, kernel, stride, padding)
        rest = grad.clone() if padding else grad
        for tap, (seen, windows) in reversed(
            list(enumerate(_taps(result, grad.shape[dim], dim, kernel, stride, padding)))
        ):
            target, left = result[seen], rest[windows]
            if kernel <= stride:
                part = torch.mul(left, won[tap - 1], out=target) if tap else target.copy_(left)
            else:
                part = left * won[tap - 1] if tap else left
                target += part
            if padding:
                left -= part
            elif tap:
                rest = rest - part
        return result

    def _along(self, dim: int) -> tuple[int, int, int]:
        """Return kernel size, stride and padding in the direction of ``dim``."""
        return self.kernel_size[dim - 1], self.stride[dim - 1], self.padding[dim - 1]


def _taps(x: Tensor, count: int, dim: int, kernel: int, stride: int, padding: int) -> Iterator[tuple[Index, Index]]:
    """Yield, for each tap along ``dim``, the index of the values that it meets in x and the index of their windows.

    Args:
        x: the pictures, (N, H, W, C).
        count: the number of windows.
        padding: how far windows may extend beyond x on each side; taps there meet no value.
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


def _spread(memory: Tensor, count: int, dim: int, kernel: int, stride: int, padding: int) -> Tensor:
    """Return ``memory`` ready for the gradients of ``count`` windows: zeros unless all of it will be written."""
    covered = memory.shape[dim] == kernel * count and kernel == stride and not padding
    return memory if covered else memory.zero_()
