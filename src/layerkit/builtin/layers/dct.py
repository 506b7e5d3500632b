"""Layers that work on the cosines of small windows instead of on pixels.

Forward, for an input x (N, C, H, W): each window of size x size pixels in all channels, one every ``stride`` pixels, is
written as a sum of C size^2 orthonormal functions, products of cosines across the channels, down and across (the
discrete cosine transform "DCT-II" of Ahmed, Natarajan and Rao 1974; of three channels it makes brightness and two
differences of colours). Let A be that, a convolution with fixed weights, f the layers inside, and n the number of
windows that a pixel lies in:

    y = A^T(f(A x)) / n

A^T adds the windows up again where they overlap. A^T A is the product with n, so that x is given back where f does
nothing. This is denoising in sliding windows (Yaroslavsky 1996; Coifman and Donoho 1995, "Translation-invariant
de-noising") if f shrinks what is small: a picture is a sum of few such functions, and noise of all of them.

Backward, since A is linear: grad_x = A^T(f.backward(A (grad_output / n))).
"""

from __future__ import annotations

import math
from typing import Annotated, Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from layerkit.arithmetic.cosines import cosines
from layerkit.arithmetic.windows import Pair, channels_first, channels_last, check_pictures, picture_shape, picture_size
from layerkit.builtin.layers.container import Container
from layerkit.contracts.fields import Channels
from layerkit.contracts.module import Module
from layerkit.contracts.registered import AnyLayer
from layerkit.contracts.specs import Inner, LayerSpec, Shape, chain
from layerkit.errors import ShapeError

Size = Annotated[int, Field(ge=1, le=32)]


class DctSpec(LayerSpec):
    """Layers on the cosine transform of sliding windows: y = A^T(f(A x)) / n, with f the layers inside.

    The layers get size^2 times as many channels, for each window one pixel, and keep that shape.
    """

    example: ClassVar[dict[str, Any]] = {"size": 4, "stride": 2, "layers": [{"type": "shrinkage"}]}

    type: Literal["dct"] = Field(description="The name of the layer.")
    size: Size = Field(default=8, description="Height and width of a window in pixels.")
    stride: Size = Field(default=2, description="Pixels from a window to the next; at most the size.")
    layers: tuple[AnyLayer, ...] = Field(
        strict=False, min_length=1, max_length=10_000, description="The layers f, first to last; they keep the shape."
    )

    def output_shape(self, input_shape: Shape) -> Shape:
        inside = self._inside(input_shape)
        _check_same(chain(self.layers, inside)[1], inside)
        return input_shape

    def _inside(self, input_shape: Shape) -> Shape:
        channels, height, width = picture_shape(input_shape, "dct")
        return channels * self.size**2, *_places((height, width), self.size, self.stride)

    def multiply_adds(self, input_shape: Shape) -> int:
        inside = self._inside(input_shape)
        return 2 * math.prod(inside) * inside[0] + super().multiply_adds(input_shape)

    def inner(self, input_shape: Shape) -> tuple[Inner, ...]:
        return chain(self.layers, self._inside(input_shape))[0]

    def build(self, input_shape: Shape, generator: torch.Generator) -> Dct:
        layers = (inner.layer.build(inner.input_shape, generator) for inner in self.inner(input_shape))
        return Dct(input_shape[0], *layers, size=self.size, stride=self.stride)


class Dct(Container):
    """``Dct(channels, first, second, ..., size=8, stride=2)``: layers on the cosines of windows.

    Args:
        channels: of the input.
        layers: the layers inside, first to last, for channels x size^2 channels.
        size: height and width of a window.
        stride: pixels from a window to the next.

    Raises:
        ShapeError: when the stride is larger than the size, so that pixels would lie in no window.
    """

    def __init__(self, channels: Channels, *layers: Module, size: Size = 8, stride: Size = 2) -> None:
        super().__init__(*layers)
        self.channels, self.size, self.stride = channels, size, stride
        _check_stride(size, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, C, H, W) for x (N, C, H, W).

        Raises:
            ShapeError: when windows do not cover x exactly, or a layer inside cannot take what comes to it.
        """
        check_pictures(x, self.channels, "Dct")
        size = picture_size(x)
        _places(size, self.size, self.stride)
        inside = self._analyse(x)
        y = self.layers.forward(inside)
        _check_same(tuple(y.shape[1:]), tuple(inside.shape[1:]))
        self.save(size)
        return self._synthesize(y, size).div_(self._counts(size, x))

    def backward(self, grad_output: Tensor) -> Tensor | None:
        """Return the gradient with respect to ``x``, or None if nobody needs it."""
        (size,) = self.saved()
        grad = self.layers.backward(self._analyse(grad_output / self._counts(size, grad_output)))
        return None if grad is None else self._synthesize(grad, size)

    def _analyse(self, x: Tensor) -> Tensor:
        """Return A x, (N, C size^2, rows, columns) with the channels last in memory."""
        n, (rows, columns) = len(x), _places(picture_size(x), self.size, self.stride)
        x = channels_last(x).contiguous()
        image, row, column, channel = x.stride()
        # A window's numbers in the order (column, row, channel), which suits the sums of _synthesize.
        shape = (n, rows, columns, self.size, self.size, self.channels)
        steps = (image, self.stride * row, self.stride * column, column, row, channel)
        functions = self._functions(x)
        windows = x.as_strided(shape, steps).reshape(-1, len(functions))
        return channels_first((windows @ functions.t()).view(n, rows, columns, len(functions)))

    def _synthesize(self, coefficients: Tensor, size: Pair) -> Tensor:
        """Return A^T of coefficients (N, C size^2, rows, columns): (N, C, *size)."""
        n, _, rows, columns = coefficients.shape
        functions = self._functions(coefficients)
        windows = channels_last(coefficients).reshape(-1, len(functions)) @ functions
        windows = windows.view(n, rows, columns, self.size, self.size * self.channels)
        # Where windows overlap they are added up across, and the sums down.
        across = windows.new_zeros(n, rows, size[1], self.size * self.channels)
        for step in range(self.size):
            across[:, :, step : step + self.stride * (columns - 1) + 1 : self.stride] += windows[:, :, :, step]
        across = across.view(n, rows, size[1], self.size, self.channels)
        sums = windows.new_zeros(n, *size, self.channels)
        for step in range(self.size):
            sums[:, step : step + self.stride * (rows - 1) + 1 : self.stride] += across[:, :, :, step]
        return channels_first(sums)

    def _functions(self, like: Tensor) -> Tensor:
        """Return the orthonormal functions, (C size^2, size size C): one a row, as windows lie in memory."""
        functions = torch.kron(torch.kron(cosines(self.size), cosines(self.size)), cosines(self.channels))
        return functions.to(like)

    def _counts(self, size: Pair, like: Tensor) -> Tensor:
        """Return the number of windows that each pixel lies in, (H, W)."""
        down, across = (_covered(length, self.size, self.stride) for length in size)
        return (down[:, None] * across).to(like)


def _covered(length: int, size: int, stride: int) -> Tensor:
    """Return for each of so many pixels in a row the number of windows that it lies in."""
    covered = torch.zeros(length, dtype=torch.float64, device="cpu")
    for start in range(0, length - size + 1, stride):
        covered[start : start + size] += 1
    return covered


def _places(size: Pair, window: int, stride: int) -> Pair:
    """Return how many windows a picture of this size has, down and across.

    Raises:
        ShapeError: when the windows do not cover it to its end.
    """
    _check_stride(window, stride)
    height, width = size
    if min(height, width) < window or (height - window) % stride or (width - window) % stride:
        raise ShapeError(
            f"dct: windows of {window}x{window}, one every {stride} pixels, do not cover a picture of {height}x{width} "
            f"to its end; its sides must be {window} plus multiples of {stride}"
        )
    return (height - window) // stride + 1, (width - window) // stride + 1


def _check_stride(size: int, stride: int) -> None:
    if stride > size:
        raise ShapeError(f"dct: between windows of size {size}, one every {stride} pixels, some pixels would be lost")


def _check_same(output_shape: Shape, input_shape: Shape) -> None:
    if output_shape != input_shape:
        given, wanted = ("x".join(map(str, shape)) for shape in (output_shape, input_shape))
        raise ShapeError(f"dct needs layers that keep the shape of what they get, and they make {given} of {wanted}")
