"""Transposed convolution, which makes pictures larger.

Forward, for an input x (N, C, H, W), a weight (C, O, kh, kw) and a bias (O,), every input value is spread over a window
of the output, and windows that overlap add up:

    y[n, o, p * stride + i * dilation - padding, ...] += weight[c, o, i, j] * x[n, c, p, q],   and bias[o] everywhere.

It is a convolution's backward pass used forwards (Dumoulin and Visin 2016, "A guide to convolution arithmetic for deep
learning", chapter 4). With the pixels of x as rows of a matrix X (N * H * W, C) and the weight as a matrix
W (C, kh * kw * O), the rows of X W are the windows to be added. Backward, with G (N * H * W, kh * kw * O), the windows
of grad_output that the pixels were spread over:

    weight_grad += X^T G        bias_grad += sum of grad_output over all pixels        grad_X = G W^T.

The windows hold kh * kw times as many numbers as the pixels they belong to. A batch is therefore walked in slices whose
windows stay in the processor's cache.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from layerkit.component import LayerSpec, Shape
from layerkit.errors import ShapeError
from layerkit.fields import Channels, IntegerOrPair, Kernel, Padding, Stride, pair
from layerkit.layers.initialization import kernel_matrix, kernel_tensor, xavier_normal_
from layerkit.layers.windows import Pair, channels_first, channels_last, check_pictures, padded, picture_shape, windows
from layerkit.module import Module

SLICE = 2**19
"""Numbers that the windows of one slice of a batch hold together."""


class TransposedConv2dSpec(LayerSpec):
    """Transposed convolution: every pixel is spread over a window of the output, y = bias + sum of weight * x.

    Each side of the output is (size - 1) stride - 2 padding + dilation (kernel_size - 1) + output_padding + 1.
    """

    example: ClassVar[dict[str, Any]] = {"out_channels": 44, "kernel_size": 4, "stride": 2, "padding": 1}

    type: Literal["transposed_conv2d"] = Field(description="The name of the layer.")
    out_channels: Channels = Field(description="Channels of the output.")
    kernel_size: Kernel = Field(description="Height and width of the kernel: one number, or [height, width].")
    stride: Stride = Field(default=1, description="Steps between the windows of neighbouring pixels.")
    padding: Padding = Field(default=0, description="Rows and columns that are cut off on each side of the output.")
    output_padding: Annotated[int | tuple[int, int], IntegerOrPair(0, 1023)] = Field(
        default=0, description="Rows and columns more at the lower and right side; less than stride or dilation."
    )
    bias: bool = Field(default=True, description="Whether a learned number is added to each output channel.")
    dilation: Stride = Field(default=1, description="Steps between neighbouring taps of the kernel.")

    def output_shape(self, input_shape: Shape) -> Shape:
        _, *size = picture_shape(input_shape, "transposed_conv2d")
        return self.out_channels, *_output_size(
            tuple(size),
            pair(self.kernel_size),
            pair(self.stride),
            pair(self.padding),
            pair(self.output_padding),
            pair(self.dilation),
        )

    def parameter_count(self, input_shape: Shape) -> int:
        kh, kw = pair(self.kernel_size)
        return self.out_channels * (input_shape[0] * kh * kw + self.bias)

    def multiply_adds(self, input_shape: Shape) -> int:
        kh, kw = pair(self.kernel_size)
        channels, rows, columns = input_shape
        return channels * rows * columns * self.out_channels * kh * kw

    def build(self, input_shape: Shape, generator: torch.Generator) -> TransposedConv2d:
        return TransposedConv2d(*self._arguments(input_shape).values(), generator=generator)

    def reference(self, input_shape: Shape) -> tuple[str, dict[str, Any]]:
        return "ConvTranspose2d", self._arguments(input_shape)

    def _arguments(self, input_shape: Shape) -> dict[str, Any]:
        return {
            "in_channels": input_shape[0],
            "out_channels": self.out_channels,
            "kernel_size": self.kernel_size,
            "stride": self.stride,
            "padding": self.padding,
            "output_padding": self.output_padding,
            "bias": self.bias,
            "dilation": self.dilation,
        }


class TransposedConv2d(Module):
    """Transposed convolution of pictures, as ``torch.nn.ConvTranspose2d``.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size, stride, padding, output_padding, dilation: a number, or (vertical, horizontal).
        bias: whether a learned number is added to each output channel.
        dtype, device: of the parameters; torch's defaults when None.
        generator: source of the initial weights; torch's default generator when None.

    Attributes:
        weight: (in_channels, out_channels, kh, kw), Xavier-normal at first.
        bias: (out_channels,), zero at first; None without.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] = 0,
        output_padding: int | tuple[int, int] = 0,
        bias: bool = True,
        dilation: int | tuple[int, int] = 1,
        *,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size, self.stride, self.padding = pair(kernel_size), pair(stride), pair(padding)
        self.output_padding, self.dilation = pair(output_padding), pair(dilation)
        area = self.kernel_size[0] * self.kernel_size[1]
        weight = kernel_tensor(in_channels, out_channels, self.kernel_size, dtype=dtype, device=device)
        self.add_parameter("weight", xavier_normal_(weight, in_channels * area, out_channels * area, generator))
        self.bias = None
        if bias:
            self.add_parameter("bias", weight.new_zeros(out_channels))

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, out_channels, H_out, W_out) for x (N, in_channels, H, W)."""
        check_pictures(x, self.in_channels, "TransposedConv2d")
        pixels = channels_last(x).contiguous()
        self.save(pixels)
        n, *size, _ = pixels.shape
        (top, left), (rows, columns), framed_size = self._frame(tuple(size))
        framed = pixels.new_zeros(n, *framed_size, self.out_channels)
        if self.bias is not None:
            framed += self.bias
        targets = self._windows(framed, tuple(size))
        for part, buffer in self._slices(pixels):
            torch.mm(pixels[part].flatten(0, 2), kernel_matrix(self.weight), out=buffer)
            spread = buffer.view(targets[part].shape)
            for i in range(self.kernel_size[0]):
                for j in range(self.kernel_size[1]):
                    targets[part][:, :, :, i, j] += spread[:, :, :, i, j]
        return channels_first(framed[:, top : top + rows, left : left + columns])

    def backward(self, grad_output: Tensor) -> Tensor | None:
        """Add to ``weight_grad`` and ``bias_grad``; return (N, in_channels, H, W), or None if nobody needs it."""
        (pixels,) = self.saved()
        size = tuple(pixels.shape[1:3])
        (top, left), (rows, columns), (height, width) = self._frame(size)
        grad = channels_last(grad_output)
        if self.bias is not None:
            self.bias_grad.add_(grad.sum((0, 1, 2)))
        framed = padded(grad, (top, height - top - rows), (left, width - left - columns))
        sources = self._windows(framed, size)
        grad_pixels = torch.empty_like(pixels) if self.needs_input_grad else None
        for part, buffer in self._slices(pixels):
            buffer.view(sources[part].shape).copy_(sources[part])
            kernel_matrix(self.weight_grad).addmm_(pixels[part].flatten(0, 2).t(), buffer)
            if grad_pixels is not None:
                torch.mm(buffer, kernel_matrix(self.weight).t(), out=grad_pixels[part].flatten(0, 2))
        return None if grad_pixels is None else channels_first(grad_pixels)

    def _frame(self, size: Pair) -> tuple[Pair, Pair, Pair]:
        """Return where the output begins in all that the windows cover, its size, and the size of all."""
        output = _output_size(size, self.kernel_size, self.stride, self.padding, self.output_padding, self.dilation)
        covered = ((size[i] - 1) * self.stride[i] + self.dilation[i] * (self.kernel_size[i] - 1) + 1 for i in range(2))
        height, width = (max(side, self.padding[i] + output[i]) for i, side in enumerate(covered))
        return self.padding, output, (height, width)

    def _windows(self, framed: Tensor, size: Pair) -> Tensor:
        """Return the window (kh, kw, O) of every pixel, a view (N, H, W, kh, kw, O)."""
        return windows(framed, self.kernel_size, self.stride, self.dilation)[:, : size[0], : size[1]]

    def _slices(self, pixels: Tensor) -> Iterator[tuple[slice, Tensor]]:
        """Yield slices of the batch, each with a buffer for its windows, which the next one reuses."""
        n, height, width, _ = pixels.shape
        taps = kernel_matrix(self.weight).shape[1]
        step = max(1, SLICE // (height * width * taps))
        buffer = pixels.new_empty(min(step, n) * height * width, taps)
        for start in range(0, n, step):
            yield slice(start, start + step), buffer[: min(step, n - start) * height * width]


def _output_size(size: Pair, kernel: Pair, stride: Pair, padding: Pair, output_padding: Pair, dilation: Pair) -> Pair:
    if any(output_padding[i] >= max(stride[i], dilation[i]) for i in range(2)):
        raise ShapeError(
            f"output_padding {output_padding[0]}x{output_padding[1]} must be smaller than stride "
            f"{stride[0]}x{stride[1]} or dilation {dilation[0]}x{dilation[1]}; use less of it"
        )
    height, width = (
        (size[i] - 1) * stride[i] - 2 * padding[i] + dilation[i] * (kernel[i] - 1) + output_padding[i] + 1
        for i in range(2)
    )
    if height < 1 or width < 1:
        raise ShapeError(
            f"padding {padding[0]}x{padding[1]} cuts off all that a kernel of {kernel[0]}x{kernel[1]} makes of an "
            f"input of {size[0]}x{size[1]}; use less padding"
        )
    return height, width
