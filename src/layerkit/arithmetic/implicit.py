"""Convolution as a matrix product of windows that are never written down ("implicit GEMM"), on a GPU.

The products are those of :mod:`layerkit.arithmetic.patches`, y = X W^T + bias with a window of x in each row of X. But
a program reads the part of X that it multiplies where it lies in x, and nothing of the size of X is written:

    y[m]          =  bias + sum over k of  X[m, k] W[k]
    weight_grad  +=  sum over m of  X[m, k] grad_output[m]
    grad_x[r, c]  =  sum over taps i and outputs o of  W[o, i, c] grad_output[(r + padding - i dilation) / stride, o],

the last where the division leaves no rest; it is the first with other steps. The sum over all places is cut into parts,
whose sums are added in their order, so that the same step gives the same bits.

It is the way where products are made by tensor cores, that is, with TF32: multiplications cost little then, and the
passes over memory with which the other ways save multiplications cost more. In full single precision, and on a
processor, the other ways are used.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from layerkit.arithmetic.backends import gpu
from layerkit.arithmetic.passes import Move, Pass
from layerkit.arithmetic.way import KernelLayer, Way
from layerkit.arithmetic.windows import Pair, channels_first, picture_size

PLACES, PLACES_SUMMED = 128, 64
"""Places that a program multiplies at a time, and those over which it sums for the gradient of the weight: as many as
the registers of its threads have room for."""
INNER = (16, 32)
"""The fewest and the most channels of the source that it multiplies at a time, all at one tap."""
OUTPUTS = (16, 64)
"""The fewest and the most channels of the target that it computes."""
PROGRAMS = 512
"""How many programs keep a GPU busy."""


class ImplicitProducts(Way):
    """Multiplies windows where they lie.

    Args:
        layer: the convolution, whose weight is (O, C, kh, kw) in any memory order.
        stride, padding, dilation: those of the layer, (vertical, horizontal).
    """

    memory_order = (0, 2, 3, 1)

    def __init__(self, layer: KernelLayer, stride: Pair, padding: Pair, dilation: Pair) -> None:
        super().__init__(layer)
        self._stride, self._padding, self._dilation = stride, padding, dilation

    def suits(self, x: Tensor) -> bool:
        """Return whether products of x are made by tensor cores, and Triton is installed."""
        return (
            torch.get_float32_matmul_precision() != "highest"
            and x.device.type == gpu.device()
            and x.dtype is self.layer.weight.dtype is torch.float32
            and x.numel() > 0
            and gpu.INSTALLED
        )

    def plan_forward(self, x: Tensor, size: Pair) -> Pass[Tensor]:
        layer = self.layer
        y = channels_first(layer.empty("y", (len(x), *size, layer.out_channels), x))
        start = tuple(-padding for padding in self._padding)
        move = _multiply(y, x, layer.weight, layer.bias, (*self._stride, *self._dilation, *start, 1, 1))
        return Pass([move], y, (x,))

    def plan_backward(self, grad_output: Tensor, kept: tuple[Tensor, ...], shape: torch.Size) -> Pass[Tensor | None]:
        layer, (x,) = self.layer, kept
        moves = self._plan_weight_grad(grad_output, x)
        if layer.bias is not None:
            moves.append(lambda: layer.bias_grad.add_(grad_output.sum((0, 2, 3))))
        if not layer.needs_input_grad:
            return Pass(moves, None)
        n, channels, height, width = shape
        grad_x = channels_first(layer.empty("grad_input", (n, height, width, channels), grad_output))
        steps = (1, 1, *(-dilation for dilation in self._dilation), *self._padding, *self._stride)
        moves.append(_multiply(grad_x, grad_output, layer.weight.transpose(0, 1), None, steps))
        return Pass(moves, grad_x)

    def _plan_weight_grad(self, grad_output: Tensor, x: Tensor) -> list[Move]:
        from layerkit.arithmetic.backends import _window_kernels

        layer, (kh, kw) = self.layer, self.layer.kernel_size
        n, outputs, rows, columns = grad_output.shape
        places, channels, taps = n * rows * columns, layer.in_channels, kh * kw
        lanes, inner = _lanes(outputs), _inner(channels)
        chunks = _ceil_div(channels, inner)
        tiles = taps * chunks * _ceil_div(outputs, lanes)
        blocks = _ceil_div(_ceil_div(places, PLACES_SUMMED), max(1, PROGRAMS // tiles))
        parts = _ceil_div(places, PLACES_SUMMED * blocks)
        sums = layer.scratch("parts", (parts, kh, kw, channels, outputs), x)
        arguments = (
            *(sums, x, grad_output, places, rows, columns, outputs, channels, chunks, taps, kw, *picture_size(x)),
            *_steps(grad_output),
            *_steps(x),
            *(*self._stride, *self._dilation, *(-padding for padding in self._padding)),
            *(blocks, "tf32", PLACES_SUMMED, lanes, inner),
        )
        grid = taps * chunks, _ceil_div(outputs, lanes), parts
        grad = layer.weight_grad.permute(2, 3, 1, 0)  # of (O, C, kh, kw), in the order of the sums
        return [partial(_window_kernels.correlate_windows[grid], *arguments), lambda: grad.add_(sums.sum(0))]


def _multiply(target: Tensor, source: Tensor, weight: Tensor, bias: Tensor | None, steps: tuple[int, ...]) -> Move:
    """Return the move that sets the target (N, O, H, W) to the windows of the source times a weight (O, C, kh, kw).

    Args:
        steps: (down, across) each: times, step, start and divide of the kernel.
    """
    from layerkit.arithmetic.backends import _window_kernels

    n, outputs, rows, columns = target.shape
    _, channels, kh, kw = weight.shape
    places, lanes, inner = n * rows * columns, _lanes(outputs), _inner(channels)
    arguments = (
        *(target, source, weight, target if bias is None else bias, places, rows, columns, outputs),
        *(channels, _ceil_div(channels, inner), kh * kw, kw, *picture_size(source)),
        *_steps(target),
        *_steps(source),
        *(weight.stride(2), weight.stride(3), weight.stride(1), weight.stride(0)),
        *steps,
        *(bias is not None, "tf32", PLACES, lanes, inner),
    )
    return partial(_window_kernels.multiply_windows[_ceil_div(places, PLACES), _ceil_div(outputs, lanes)], *arguments)


def _ceil_div(number: int, divisor: int) -> int:
    """Return how many groups of so many there are, the last of which may be smaller."""
    return -(-number // divisor)


def _steps(pictures: Tensor) -> tuple[int, int, int, int]:
    """Return the steps in memory of pictures (N, C, H, W): to the next picture, row, column and channel."""
    picture, channel, row, column = pictures.stride()
    return picture, row, column, channel


def _lanes(outputs: int) -> int:
    least, most = OUTPUTS
    return min(most, max(least, 1 << (outputs - 1).bit_length()))


def _inner(channels: int) -> int:
    """Return how many channels of the source are multiplied at a time: as many as leave little room empty."""
    least, most = INNER
    return most if channels % most == 0 or channels > 2 * most else least
