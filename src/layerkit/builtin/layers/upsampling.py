"""Nearest-neighbour upsampling followed by a convolution, in one step (section II.C of the report).

The plain formula is ``Sequential(NearestUpsampling(s), Conv2d(C, O, k, padding=p))``. Here the enlarged picture X is
never made, and a kernel of k x k taps costs k x k multiplications for a pixel of the *small* picture x, where the plain
formula needs s^2 as many.

Along one direction, the output row s q + r (its phase is r) sees through tap i the row s q + r + i - p of X, row
floor((s q + r + i - p) / s) of x. With the cumulative weights c_i = w_0 + ... + w_(i-1), summation by parts gives

    sum over i of w_i X_i = c_k X_(k-1) - sum over i = 1 .. k-1 of c_i (X_i - X_(i-1)).

X_i and X_(i-1) are one and the same small row unless s divides r + i - p, and for each i that is so in one phase only.
So there are k kinds of products in all, Z_i = c_i x for i = 1 .. k, and each output row is a sum of a few shifted rows
of them: +Z_k of the row that the last tap sees, and for each i at which its kernel passes from one small row to the
next, -Z_i of the next and +Z_i of the one before. Zero padding is part of this: a row outside X lies outside x.

In two directions c becomes the summed-area table of the kernel. The sums of shifted rows, forwards and backwards, stand
in :mod:`layerkit.arithmetic.shifts`; the gradient of the weight is the transposed cumulative sum of that of c.
"""

from __future__ import annotations

from functools import lru_cache, partial
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from layerkit.arithmetic.axes import Axis, Move, Term
from layerkit.arithmetic.products import multiply_and_add
from layerkit.arithmetic.windows import check_pictures, output_size, picture_shape
from layerkit.builtin.layers.shifted import ShiftedConvolution
from layerkit.contracts.fields import Channels, Kernel, Padding, Scale, pair
from layerkit.contracts.specs import LayerSpec, Shape


class UpsamplingSpec(LayerSpec):
    """Nearest-neighbour upsampling by ``scale_factor``, then a convolution with stride 1."""

    example: ClassVar[dict[str, Any]] = {"out_channels": 44, "kernel_size": 3, "scale_factor": 2, "padding": 1}

    type: Literal["upsampling"] = Field(description="The name of the layer.")
    out_channels: Channels = Field(description="Channels of the output.")
    kernel_size: Kernel = Field(default=3, description="Height and width of the kernel: a number, or [height, width].")
    scale_factor: Scale = Field(default=2, description="How many times each pixel is repeated, or [down, across].")
    padding: Padding = Field(default=1, description="Rows and columns of zeros around the enlarged picture.")
    bias: bool = Field(default=True, description="Whether a learned number is added to each output channel.")

    def output_shape(self, input_shape: Shape) -> Shape:
        _, height, width = picture_shape(input_shape, "upsampling")
        down, across = pair(self.scale_factor)
        return self.out_channels, *output_size(
            (height * down, width * across), pair(self.kernel_size), (1, 1), pair(self.padding)
        )

    def parameter_count(self, input_shape: Shape) -> int:
        kh, kw = pair(self.kernel_size)
        return self.out_channels * (input_shape[0] * kh * kw + self.bias)

    def multiply_adds(self, input_shape: Shape) -> int:
        kh, kw = pair(self.kernel_size)
        out_channels, rows, columns = self.output_shape(input_shape)
        return out_channels * rows * columns * input_shape[0] * kh * kw

    def build(self, input_shape: Shape, generator: torch.Generator) -> Upsampling:
        return Upsampling(
            input_shape[0],
            self.out_channels,
            self.kernel_size,
            self.scale_factor,
            self.padding,
            self.bias,
            generator=generator,
        )


class Upsampling(ShiftedConvolution):
    """Enlarges a picture and convolves it.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size, scale_factor, padding: a number, or (vertical, horizontal).
        bias: whether a learned number is added to each output channel.
        dtype, device: of the parameters; torch's defaults when None.
        generator: source of the initial weights; torch's default generator when None.

    Attributes:
        weight: (out_channels, in_channels, kh, kw), Xavier-normal at first.
        bias: (out_channels,), zero at first; None without.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int] = 3,
        scale_factor: int | tuple[int, int] = 2,
        padding: int | tuple[int, int] = 1,
        bias: bool = True,
        *,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__(
            in_channels, out_channels, kernel_size, bias, (2, 3, 0, 1), generator, dtype=dtype, device=device
        )
        self.scale_factor, self.padding = pair(scale_factor), pair(padding)
        self.work_along(*map(_axis, self.kernel_size, self.scale_factor, self.padding))

    def size_of_output(self, x: Tensor) -> tuple[int, int]:
        check_pictures(x, self.in_channels, "Upsampling")
        enlarged = x.shape[2] * self.scale_factor[0], x.shape[3] * self.scale_factor[1]
        return output_size(enlarged, self.kernel_size, (1, 1), self.padding)

    def kernels(self) -> tuple[Tensor, list[Move]]:
        """Return the summed-area table of the weight."""
        taps = self.taps(self.weight)
        kernels = self.empty("kernels", taps.shape, taps)
        return kernels.view(-1, self.in_channels), [partial(torch.mm, self._summing, taps, out=kernels)]

    def add_kernels_grad(self, n: int, rows: Tensor, grad_products: Tensor) -> list[Move]:
        grad = self.scratch("grad_kernels", (len(grad_products), self.in_channels), rows)
        taps = self.taps(self.weight_grad)
        products = multiply_and_add(n, grad_products, rows, grad, self.scratch)
        return [grad.zero_, *products, partial(taps.addmm_, self._summing.t(), grad.view(taps.shape))]

    @property
    def _summing(self) -> Tensor:
        return _summed_area(self.kernel_size, self.weight.dtype, self.weight.device)


@lru_cache(maxsize=64)
def _summed_area(kernel: tuple[int, int], dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return the matrix (kh * kw, kh * kw) of zeros and ones that makes a summed-area table of a kernel."""
    down, across = (torch.ones(size, size, dtype=dtype, device=device).tril() for size in kernel)
    return torch.kron(down, across)


def _axis(kernel: int, scale: int, padding: int) -> Axis:
    """Return the terms of the module's docstring; kind i - 1 is the product with c_i."""
    terms = []
    for phase in range(scale):
        terms.append(Term(phase, kernel - 1, (phase + kernel - 1 - padding) // scale, 1))
        for tap in range(1, kernel):
            row, rest = divmod(phase + tap - padding, scale)
            if rest == 0:
                terms += [Term(phase, tap - 1, row, -1), Term(phase, tap - 1, row - 1, 1)]
    return Axis(scale, kernel, tuple(terms))
