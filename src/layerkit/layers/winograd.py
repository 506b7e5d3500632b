"""Winograd's short convolution: a 3 x 3 kernel with stride 1 in fewer multiplications.

Along one direction, two neighbouring outputs of a kernel w of three taps see four inputs d, and need not six
multiplications but four (Winograd 1980, "Arithmetic complexity of computations"; Lavin and Gray 2016, "Fast algorithms
for convolutional neural networks", section 4.1, here with the sign of the last kind turned):

    v = (d_0 - d_2,  d_1 + d_2,            d_2 - d_1,            d_3 - d_1)
    u = (w_0,        (w_0 + w_1 + w_2)/2,  (w_0 - w_1 + w_2)/2,  w_2)
    m = u v by kind,      y_0 = m_0 + m_1 + m_2,      y_1 = m_1 - m_2 + m_3.

In two directions these are 16 products for four outputs in place of 36, and with channels each is a matrix product over
all such squares of four. Everything else is sums of shifted pictures, as in :mod:`layerkit.layers.shifts`: output row
2 q + r from the kinds at q, and the kinds at q from the input rows 2 q + i - padding, zeros outside the picture.

Backwards, every step is transposed: m's gradient from y's, from that u's and v's by products, and x's from v's.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from layerkit.layers.shifts import Axis, Move, Term
from layerkit.layers.windows import Pair, channels_first, channels_last
from layerkit.module import Module

KINDS = 4
KERNEL = (3, 3)

OUTPUTS = Axis(
    2,
    KINDS,
    (Term(0, 0, 0, 1), Term(0, 1, 0, 1), Term(0, 2, 0, 1), Term(1, 1, 0, 1), Term(1, 2, 0, -1), Term(1, 3, 0, 1)),
)
"""The sums that make y of m."""
_INPUTS = ((0, 0, 1), (0, 2, -1), (1, 1, 1), (1, 2, 1), (2, 2, 1), (2, 1, -1), (3, 3, 1), (3, 1, -1))
"""The kinds v: kind, number of the input, sign."""


def _inputs(padding: int) -> Axis:
    """Return the terms whose transpose makes v of x: input i of pair q lies in row 2 q + i - padding."""
    terms = []
    for kind, number, sign in _INPUTS:
        row, phase = divmod(number - padding, 2)
        terms.append(Term(phase, kind, -row, sign))
    return Axis(2, KINDS, tuple(terms))


class Winograd:
    """The work of a convolution with a 3 x 3 kernel and stride 1, in the memory that its layer is given.

    Args:
        layer: whose ``empty``, ``save`` and ``plan`` are used. Its weight lies in memory as (kh, kw, O, C).
        in_channels, out_channels, padding: of the layer.
    """

    def __init__(self, layer: Module, in_channels: int, out_channels: int, padding: Pair) -> None:
        self.layer = layer
        self.in_channels, self.out_channels = in_channels, out_channels
        self.down, self.across = map(_inputs, padding)

    def forward(self, x: Tensor, size: Pair) -> Tensor:
        """Return (N, O, *size) for x (N, C, H, W)."""
        layer = self.layer
        n, _, _, width = x.shape
        kernels = self._kernels()
        halfway, inputs = self._memory("v", n, size, width, self.in_channels, x)
        products = layer.empty("m", (*inputs.shape[:-1], self.out_channels), x)
        sums = layer.empty("sums", (KINDS, n, size[0], inputs.shape[4], self.out_channels), x)
        y = layer.empty("y", (n, *size, self.out_channels), x)

        def spread() -> list[Move]:
            between = halfway.permute(1, 2, 3, 0, 4)
            moves = self.down.combine_transposed(channels_last(x), between, 1)
            return moves + self.across.combine_transposed(between, _by_kind(inputs), 2)

        def gather() -> list[Move]:
            between = sums.permute(1, 2, 3, 0, 4)
            return OUTPUTS.combine(_by_kind(products).transpose(3, 4), between, 1) + OUTPUTS.combine(between, y, 2)

        for move in layer.plan("spread", (x, halfway, inputs), spread):
            move()
        layer.save(inputs, kernels, x.shape)
        torch.bmm(_matrices(inputs), kernels.transpose(1, 2), out=_matrices(products))
        if layer.bias is not None:
            products[1, 1].add_(layer.bias)  # the one product that every output has in it, once
        for move in layer.plan("gather", (products, sums, y), gather):
            move()
        return channels_first(y)

    def backward(self, grad_output: Tensor) -> Tensor | None:
        """Add to the layer's gradients; return (N, C, H, W), or None if nobody needs it."""
        layer = self.layer
        inputs, kernels, (n, _, height, width) = layer.saved()
        size = grad_output.shape[2:]
        grad_sums = layer.empty("sums", (KINDS, n, size[0], inputs.shape[4], self.out_channels), grad_output)
        grad_products = layer.empty("m", (*inputs.shape[:-1], self.out_channels), grad_output)

        def spread() -> list[Move]:
            between = grad_sums.permute(1, 2, 3, 0, 4)
            moves = OUTPUTS.combine_transposed(channels_last(grad_output), between, 2)
            return moves + OUTPUTS.combine_transposed(between, _by_kind(grad_products).transpose(3, 4), 1)

        for move in layer.plan("spread_grad", (grad_output, grad_sums, grad_products), spread):
            move()
        grad_matrices = _matrices(grad_products)
        if layer.bias is not None:
            layer.bias_grad.add_(grad_products[1, 1].sum((0, 1, 2)))
        grad_kernels = layer.empty("grad_kernels", kernels.shape, grad_output)
        torch.bmm(grad_matrices.transpose(1, 2), _matrices(inputs), out=grad_kernels)
        to_kinds = _to_kinds(kernels.dtype, kernels.device)
        self._taps(layer.weight_grad).addmm_(to_kinds.t(), grad_kernels.view(KINDS * KINDS, -1))
        if not layer.needs_input_grad:
            return None
        halfway, grad_inputs = self._memory("grad_v", n, size, width, self.in_channels, grad_output)
        grad_x = layer.empty("grad_input", (n, height, width, self.in_channels), grad_output)

        def gather() -> list[Move]:
            between = halfway.permute(1, 2, 3, 0, 4)
            moves = self.across.combine(_by_kind(grad_inputs), between, 2)
            return moves + self.down.combine(between, grad_x, 1)

        torch.bmm(grad_matrices, kernels, out=_matrices(grad_inputs))
        for move in layer.plan("gather_grad", (grad_inputs, halfway, grad_x), gather):
            move()
        return channels_first(grad_x)

    def _kernels(self) -> Tensor:
        """Return u, (16, O, C)."""
        taps = self._taps(self.layer.weight)
        kernels = self.layer.empty("kernels", (KINDS * KINDS, self.out_channels, self.in_channels), taps)
        torch.mm(_to_kinds(taps.dtype, taps.device), taps, out=kernels.view(KINDS * KINDS, -1))
        return kernels

    def _taps(self, weight: Tensor) -> Tensor:
        return weight.permute(2, 3, 0, 1).view(9, self.out_channels * self.in_channels)

    def _memory(self, name: str, n: int, size: Pair, width: int, channels: int, like: Tensor) -> tuple[Tensor, Tensor]:
        """Return memory for v halfway, (kinds, N, pairs of rows, W, C), and for v (kinds, kinds, N, ..., C)."""
        rows, columns = (-(-length // 2) for length in size)
        halfway = self.layer.empty("halfway", (KINDS, n, rows, width, channels), like)
        return halfway, self.layer.empty(name, (KINDS, KINDS, n, rows, columns, channels), like)


def _by_kind(values: Tensor) -> Tensor:
    """Return (kinds down, kinds across, N, H, W, C) as (N, H, W, kinds across, kinds down, C)."""
    return values.permute(2, 3, 4, 1, 0, 5)


def _matrices(values: Tensor) -> Tensor:
    return (
        values.view(KINDS * KINDS, -1, values.shape[-1])
        if values.numel()
        else values.new_empty(KINDS * KINDS, 0, values.shape[-1])
    )


@lru_cache(maxsize=16)
def _to_kinds(dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return the matrix (16, 9) that makes u of a kernel's nine taps."""
    one = torch.tensor([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]], dtype=dtype, device=device)
    return torch.kron(one, one)
