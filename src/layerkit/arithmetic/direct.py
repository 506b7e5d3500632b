"""Direct convolution, for evaluation: each output is summed up from the inputs in its window.

It computes the formula of :mod:`layerkit.builtin.layers.conv2d`,

    y[n, o, p, q] = bias[o] + sum over taps (i, j) and channels c of
                    weight[o, c, i, j] * x[n, c, p * stride + i * dilation - padding, ...],

and writes nothing but y, whereas the other ways write all windows or products and read them again. Training uses the
other ways, because its backward pass needs these windows or products. ``backends/_direct.c`` computes it, on a CPU.

Kernels with three taps across and stride 1 need only half of the multiplications: along a row Winograd's short
convolution with four outputs is used, as in :mod:`layerkit.arithmetic.winograd`, and downwards the formula. Double
precision always uses the formula, since it is chosen where rounding matters.
"""

from __future__ import annotations

from array import array
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from layerkit.arithmetic.backends import fused
from layerkit.arithmetic.passes import Move, Pass
from layerkit.arithmetic.way import KernelLayer
from layerkit.arithmetic.windows import Pair, channels_first, channels_last, picture_size
from layerkit.arithmetic.winograd import KERNEL, SCHEMES

try:
    from layerkit.arithmetic.backends._direct import LANE_BYTES, convolve
except ImportError:  # there was no C compiler, or this processor lacks AVX2
    COMPILED = False
    LANE_BYTES = ()
else:
    COMPILED = True

FEW = 3
"""Up to this many output channels, the vectors hold input channels instead, if these fill whole vectors."""

SCHEME = SCHEMES[1]
"""The only short convolution that ``_direct.c`` is written for."""
SHORTEST = 24
"""The shortest row of outputs for which it is faster than the formula: six tiles, which are computed together."""

PRODUCTS_A_THREAD = 2**18
"""How many multiplications are worth one more thread."""


class _Constants(NamedTuple):
    """The matrices of the short convolution; see :class:`layerkit.arithmetic.winograd.Scheme`."""

    inputs: Tensor
    taps: Tensor
    sums: Tensor


def available() -> bool:
    """Return whether the compiled code is installed and not switched off together with the compiled sums."""
    return COMPILED and not fused.SWITCHED_OFF


class Direct:
    """Computes the output of a convolution from its input, and keeps nothing for a backward pass.

    Args:
        layer: the convolution, whose weight is (O, C, kh, kw).
        stride, padding, dilation: those of the layer, (vertical, horizontal).
    """

    def __init__(self, layer: KernelLayer, stride: Pair, padding: Pair, dilation: Pair) -> None:
        self.layer, self._sizes = layer, (*stride, *dilation, *padding)
        self._three_taps = (layer.kernel_size, stride, dilation) == (KERNEL, (1, 1), (1, 1))

    def suits(self, x: Tensor) -> bool:
        """Return whether the compiled code is available and supports the device and dtype of x."""
        return (
            available()
            and x.device.type == "cpu"
            and x.dtype in (torch.float32, torch.float64)
            and x.dtype is self.layer.weight.dtype
        )

    def forward(self, x: Tensor, size: Pair, rectified: bool) -> Tensor:
        """Return (N, O, *size) for x (N, C, H, W), with negative values set to zero if ``rectified``."""
        layer, name = self.layer, "directly, rectified" if rectified else "directly"
        if self._few(x):
            y = layer.passed_on((len(x), layer.out_channels, *size), x)
        else:
            y = channels_first(layer.passed_on((len(x), *size, layer.out_channels), x))
        return layer.carry_out(name, (x, y, *layer.parameters()), lambda: self.plan(x, y, rectified)).result

    def _few(self, x: Tensor) -> bool:
        """Return whether the vectors hold input channels; then the output has its channels first in memory."""
        return self.layer.out_channels <= FEW and self.layer.in_channels % (LANE_BYTES[0] // x.element_size()) == 0

    def lane_bytes(self, x: Tensor) -> int:
        """Return the length of the vectors: the longest that fills the fewest of the shortest with zeros."""
        channels, size = self.layer.in_channels if self._few(x) else self.layer.out_channels, x.element_size()
        return min(LANE_BYTES, key=lambda length: (-channels % (length // size) * size // LANE_BYTES[0], -length))

    def plan(self, x: Tensor, y: Tensor, rectified: bool) -> Pass[Tensor]:
        """Return the pass that sets y (N, O, *size) from x (N, C, H, W)."""
        layer, (kh, kw), few, lane_bytes = self.layer, self.layer.kernel_size, self._few(x), self.lane_bytes(x)
        size, lanes = picture_size(y), lane_bytes // x.element_size()
        constants = None if few else self._constants(x, size, lanes)
        moves: list[Move] = []
        if (few or constants) and x.stride(1) != 1:
            pixels = layer.scratch("pixels", tuple(channels_last(x).shape), x)
            moves.append(partial(pixels.copy_, channels_last(x)))
            x = channels_first(pixels)
        weight, bias = self._plan_weight(1 if few else lanes, constants, moves)
        shape = len(x), layer.in_channels, layer.out_channels, x.shape[2], x.shape[3], *size, kh, kw
        plan = array("q", [*shape, *self._sizes, *x.stride(), *y.stride(), few, rectified])
        threads = 1 + y.numel() * layer.in_channels * kh * kw // PRODUCTS_A_THREAD
        moves.append(partial(_convolve, lane_bytes, x, weight, bias, y, constants, threads, plan))
        return Pass(moves, y)

    def _constants(self, x: Tensor, size: Pair, lanes: int) -> _Constants | None:
        """Return the matrices of the short convolution, or None where the formula is used."""
        short = self._three_taps and x.dtype is torch.float32
        if not short or self.layer.in_channels < lanes or size[1] < SHORTEST:
            return None
        return _Constants(*(torch.tensor(rows, dtype=x.dtype) for rows in (SCHEME.inputs, SCHEME.taps, SCHEME.sums)))

    def _plan_weight(self, lanes: int, constants: _Constants | None, moves: list[Move]) -> tuple[Tensor, Tensor]:
        """Return memory for the weight and the bias as ``_direct.c`` reads them; append the moves that fill it.

        The weight is cut into panels of ``lanes`` output channels, (panels, kh, kw, C, lanes), or for each point of the
        short convolution (points, panels, kh, C, lanes). The last panel is filled up with zeros.
        """
        layer, taps = self.layer, self.layer.weight
        full, rest = divmod(layer.out_channels, lanes)
        panels = full + (rest > 0)
        if constants:
            shape = *taps.shape[:3], len(constants.taps)
            kernels = layer.scratch("kernels", shape, taps)
            moves.append(partial(torch.matmul, taps, constants.taps.t(), out=kernels))
            outputs, channels, kh, points = shape
            memory = layer.scratch("panels", (points, panels, kh, channels, lanes), taps)
            taps, by_output = kernels, memory.permute(1, 4, 3, 2, 0)
        else:
            outputs, channels, kh, kw = taps.shape
            memory = layer.scratch("panels", (panels, kh, kw, channels, lanes), taps)
            by_output = memory.permute(0, 4, 3, 1, 2)
        if full:
            moves.append(partial(by_output[:full].copy_, taps[: full * lanes].view(full, lanes, *taps.shape[1:])))
        if rest:
            moves.append(by_output[full].zero_)
            moves.append(partial(by_output[full, :rest].copy_, taps[full * lanes :]))
        bias = layer.scratch("bias of panels", (panels * lanes,), taps)
        if rest or layer.bias is None:
            moves.append(bias.zero_)
        if layer.bias is not None:
            moves.append(partial(bias[:outputs].copy_, layer.bias))
        return memory, bias


def _convolve(
    lane_bytes: int,
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    y: Tensor,
    constants: _Constants | None,
    threads: int,
    plan: array[int],
) -> None:
    inputs, sums = (constants.inputs.data_ptr(), constants.sums.data_ptr()) if constants else (0, 0)
    threads, double = min(torch.get_num_threads(), threads), x.dtype is torch.float64
    addresses = x.data_ptr(), weight.data_ptr(), bias.data_ptr(), y.data_ptr(), inputs, sums
    convolve(double, lane_bytes, *addresses, threads, plan)
