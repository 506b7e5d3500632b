"""The convolutions that multiply first and shift afterwards."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor

from layerkit.arithmetic.axes import Axis, Move
from layerkit.arithmetic.shifts import ShiftedProducts
from layerkit.builtin.layers.initialization import xavier_normal_
from layerkit.contracts.fields import pair
from layerkit.contracts.module import Module


class ShiftedConvolution(Module):
    """A layer that makes pictures larger by products and shifts.

    A subclass says what the kinds and terms are, how the kernels of the kinds come from the weight, and how large the
    output is.

    Attributes:
        weight: the learned kernel, in memory as (kh, kw, O, C).
        bias: (O,); None without.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        bias: bool,
        order: tuple[int, int, int, int],
        generator: torch.Generator | None,
        **factory: object,
    ) -> None:
        super().__init__()
        self.in_channels, self.out_channels, self.kernel_size = in_channels, out_channels, pair(kernel_size)
        kh, kw = self.kernel_size
        weight = torch.empty(kh, kw, out_channels, in_channels, **factory).permute(order)
        self._memory_order = tuple(order.index(dim) for dim in range(4))
        xavier_normal_(weight, in_channels * kh * kw, out_channels * kh * kw, generator)
        self.add_parameter("weight", weight)
        self.bias = None
        if bias:
            self.add_parameter("bias", weight.new_zeros(out_channels))

    def work_along(self, down: Axis, across: Axis) -> None:
        """Settle the terms; a subclass calls it at the end of ``__init__``."""
        self._products = ShiftedProducts(
            self, down, across, self.in_channels, self.out_channels, self.kernels, self.add_kernels_grad
        )

    @abstractmethod
    def size_of_output(self, x: Tensor) -> tuple[int, int]:
        """Return (H_out, W_out) for an input (N, C, H, W).

        Raises:
            ShapeError: when the input does not fit.
        """

    @abstractmethod
    def kernels(self) -> tuple[Tensor, list[Move]]:
        """Return the kernels of all kinds and what computes them; see :class:`ShiftedProducts`."""

    @abstractmethod
    def add_kernels_grad(self, n: int, rows: Tensor, grad_products: Tensor) -> list[Move]:
        """Return what adds to ``weight_grad``; see :class:`ShiftedProducts`."""

    def taps(self, weight: Tensor) -> Tensor:
        """Return the weight, or its gradient, as the view (kh * kw, O * C)."""
        return weight.permute(self._memory_order).view(-1, self.out_channels * self.in_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, out_channels, H_out, W_out) for x (N, in_channels, H, W)."""
        size = self.size_of_output(x)
        return self._products.forward(x, size)

    def backward(self, grad_output: Tensor) -> Tensor | None:
        """Add to ``weight_grad`` and ``bias_grad``; return (N, in_channels, H, W), or None if nobody needs it."""
        return self._products.backward(grad_output)
