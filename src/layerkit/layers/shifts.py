"""Multiply first, shift afterwards: convolutions whose output is not smaller than their input.

Every layer here computes, along each direction, the output row s q + r (r is its *phase*) from rows of the input near q,

    y[s q + r] = sum of  sign * Z[kind][q + offset]      over the terms (phase r, kind, offset, sign),

where Z[kind] = K[kind] x is the input through one matrix for each kind. So all products are one matrix product of the
input as it lies in memory, with nothing copied and nothing padded, and what is left are sums of shifted pictures. A row
outside the input counts as zeros. In two directions the kinds are pairs, and the sums are done one direction after the
other, downwards and then across.

Backwards, the transpose of a sum of shifted pictures is a sum of pictures shifted the other way: the same terms with
the roles of y and Z exchanged and the offsets negated.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from layerkit.fields import pair
from layerkit.layers.initialization import xavier_normal_
from layerkit.layers.windows import PLANAR_BELOW, channels_first, channels_last
from layerkit.module import Module


Move = Callable[[], Any]
"""One operation on memory that is settled."""


class Term(NamedTuple):
    """One summand: the output's phase, the kind of product, the row it is taken from counted from q, and its sign."""

    phase: int
    kind: int
    offset: int
    sign: int


@dataclass(frozen=True)
class Axis:
    """One direction: the number of phases and of kinds, and the terms."""

    phases: int
    kinds: int
    terms: tuple[Term, ...]

    def combine(self, z: Tensor, y: Tensor, dim: int) -> list[Move]:
        """Return what sets the rows of ``y``, along ``dim``, to the sums of shifted rows of ``z``.

        Args:
            z: like ``y``, with the kinds as dimension 3 besides.
        """
        moves = []
        for phase in range(self.phases):
            terms = [(z.select(3, kind), offset, sign) for its, kind, offset, sign in self.terms if its == phase]
            moves += _sum_shifted(_every(y, dim, phase, self.phases), dim, terms)
        return moves

    def combine_transposed(self, grad_y: Tensor, grad_z: Tensor, dim: int) -> list[Move]:
        """Return what sets ``grad_z`` from ``grad_y``: the transpose of :meth:`combine`."""
        moves = []
        for kind in range(self.kinds):
            terms = [
                (_every(grad_y, dim, phase, self.phases), -offset, sign)
                for phase, its, offset, sign in self.terms
                if its == kind
            ]
            moves += _sum_shifted(grad_z.select(3, kind), dim, terms)
        return moves


def _every(x: Tensor, dim: int, first: int, step: int) -> Tensor:
    return x[(slice(None),) * dim + (slice(first, None, step),)] if step > 1 else x


def _sum_shifted(target: Tensor, dim: int, terms: list[tuple[Tensor, int, int]]) -> list[Move]:
    """Return what sets target[q] = sum of sign * source[q + offset] along ``dim``; a source is zeros outside."""
    size = target.shape[dim]
    spans = []
    for source, offset, sign in terms:
        start, stop = max(0, -offset), min(size, source.shape[dim] - offset)
        if start < stop:
            spans.append((stop - start < size, -sign, start, source.narrow(dim, start + offset, stop - start)))
    # Those that reach everywhere come first, a positive one before all, so that nothing need be set to zero.
    spans.sort(key=lambda span: span[:2])
    whole = [span for span in spans if not span[0]]
    if not whole:
        moves, rest = [target.zero_], spans
    elif len(whole) > 1 and whole[0][1] < 0:
        first, second = whole[0][3], whole[1][3]
        moves, rest = [partial(torch.add, first, second, alpha=-whole[1][1], out=target)], spans[2:]
    elif whole[0][1] < 0:
        moves, rest = [partial(target.copy_, whole[0][3])], spans[1:]
    else:
        moves, rest = [partial(torch.neg, whole[0][3], out=target)], spans[1:]
    for _, minus_sign, start, source in rest:
        moves.append(partial(target.narrow(dim, start, source.shape[dim]).add_, source, alpha=-minus_sign))
    return moves


class ShiftedConvolution(Module):
    """A convolution of pictures as products and shifts.

    A subclass says what the kinds and terms are, how the kernels of the kinds come from the weight, and how large the
    output is.

    Attributes:
        weight: the learned kernel, in memory as (kh, kw, O, C).
        bias: (O,); None without.
    """

    down: Axis
    across: Axis

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

    @abstractmethod
    def size_of_output(self, x: Tensor) -> tuple[int, int]:
        """Return (H_out, W_out) for an input (N, C, H, W).

        Raises:
            ShapeError: when the input does not fit.
        """

    @abstractmethod
    def kernels(self) -> Tensor:
        """Return the kernels of all kinds, (kinds down * kinds across * O, C)."""

    @abstractmethod
    def add_kernels_grad(self, rows: Tensor, grad_products: Tensor) -> None:
        """Add to ``weight_grad`` what comes through the kernels, whose gradient is ``grad_products rows``.

        Args:
            rows: the pixels of the input, (N * H * W, C).
            grad_products: the gradient of the products, (kinds * O, N * H * W).
        """

    def taps(self, weight: Tensor) -> Tensor:
        """Return the weight, or its gradient, as the view (kh * kw, O * C)."""
        return weight.permute(self._memory_order).view(-1, self.out_channels * self.in_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, out_channels, H_out, W_out) for x (N, in_channels, H, W)."""
        size = self.size_of_output(x)
        rows, kernels = self._rows(x), self.kernels()
        self.save(rows, kernels, x.shape)
        products = self._products(x.shape, x)
        if self._planar:
            torch.mm(kernels, rows.t(), out=products)
        else:
            torch.mm(rows, kernels.t(), out=products)
        halfway, y = self._halfway(len(x), size[0], x.shape[3], x), self._pictures(len(x), size, x)

        def moves() -> list[Move]:
            between = self._halfway_by_kind(halfway)
            down = self.down.combine(self._products_by_kind(products, x.shape), between, 1)
            return down + self.across.combine(between, channels_last(y), 2)

        for move in self.plan("forward", (products, halfway, y), moves):
            move()
        if self.bias is not None:
            y.add_(self.bias[:, None, None])
        return y

    def backward(self, grad_output: Tensor) -> Tensor | None:
        """Add to ``weight_grad`` and ``bias_grad``; return (N, in_channels, H, W), or None if nobody needs it."""
        rows, kernels, shape = self.saved()
        if self.bias is not None:
            self.bias_grad.add_(grad_output.sum((0, 2, 3)))
        products = self._products(shape, grad_output)
        halfway = self._halfway(shape[0], grad_output.shape[2], shape[3], grad_output)

        def moves() -> list[Move]:
            between = self._halfway_by_kind(halfway)
            across = self.across.combine_transposed(channels_last(grad_output), between, 2)
            return across + self.down.combine_transposed(between, self._products_by_kind(products, shape), 1)

        for move in self.plan("backward", (products, halfway, grad_output), moves):
            move()
        by_row = products.t() if self._planar else products
        self.add_kernels_grad(rows, by_row.t())
        if not self.needs_input_grad:
            return None
        n, channels, height, width = shape
        grad_input = self.empty("grad_input", rows.shape, grad_output)
        torch.mm(by_row, kernels, out=grad_input)
        return channels_first(grad_input.view(n, height, width, channels))

    # Memory: with few output channels the products are made, and shifted, as planes: runs of few channels crawl.

    @property
    def _planar(self) -> bool:
        return self.out_channels < PLANAR_BELOW

    def _rows(self, x: Tensor) -> Tensor:
        rows = channels_last(x)
        if not rows.is_contiguous():
            rows = self.empty("rows", rows.shape, x).copy_(rows)
        return rows.view(-1, self.in_channels) if len(x) else rows.reshape(0, self.in_channels)

    def _products(self, shape: torch.Size, like: Tensor) -> Tensor:
        rows, columns = shape[0] * shape[2] * shape[3], self.down.kinds * self.across.kinds * self.out_channels
        return self.empty("products", (columns, rows) if self._planar else (rows, columns), like)

    def _products_by_kind(self, products: Tensor, shape: torch.Size) -> Tensor:
        """Return the products as (N, H, W, kinds down, kinds across, O)."""
        kinds = self.down.kinds, self.across.kinds, self.out_channels
        if self._planar:
            return products.view(*kinds, shape[0], *shape[2:]).permute(3, 4, 5, 0, 1, 2)
        return products.view(shape[0], *shape[2:], *kinds)

    def _halfway(self, n: int, height: int, width: int, like: Tensor) -> Tensor:
        """Return memory for the sums downwards."""
        kinds, pictures = (self.across.kinds, self.out_channels), (n, height, width)
        return self.empty("halfway", (*kinds, *pictures) if self._planar else (*pictures, *kinds), like)

    def _halfway_by_kind(self, halfway: Tensor) -> Tensor:
        """Return the sums downwards as (N, H_out, W, kinds across, O)."""
        return halfway.permute(2, 3, 4, 0, 1) if self._planar else halfway

    def _pictures(self, n: int, size: tuple[int, int], like: Tensor) -> Tensor:
        if self._planar:
            return self.empty("y", (n, self.out_channels, *size), like)
        return channels_first(self.empty("y", (n, *size, self.out_channels), like))
