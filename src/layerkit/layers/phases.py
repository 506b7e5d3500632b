"""Convolutions of an enlarged picture, without the enlarged picture.

A layer that enlarges by s and has a kernel of k taps computes its output row s q + r from the rows q + offsets[r][i] of
the *small* picture, i = 0 .. k-1. The remainder r is the row's *phase*. Taps of one phase that fall on the same small
row share it, so their weights are added once, before the product: each phase is a convolution of the small picture with
a kernel of its own, of at most ``taps`` rows,

    kernel_r[t] = sum of weight[i] over the i with offsets[r][i] = first_r + t.

The sums over both directions are one fixed matrix of zeros and ones, the *folding*, and its transpose carries the
gradient of the phases' kernels back to the one weight. All phases read the same windows of the small picture, so they
are one product together. A row outside the large picture lies outside the small one too: zero padding stays zeros.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import torch
from torch import Tensor

from layerkit.layers.windows import add_windows, padded, windows

Offsets = tuple[tuple[int | None, ...], ...]
"""For each phase, the small row that each tap sees, counted from q; None where it sees nothing."""


@dataclass(frozen=True)
class Axis:
    """One direction of a convolution in phases.

    Attributes:
        scale: the number of phases.
        output: the size of the output.
        taps: the rows of each phase's kernel.
        shifts: for each phase, its first window.
        positions: the number of windows.
        padding: rows of zeros before and after the small picture, so that it has that many windows.
    """

    scale: int
    output: int
    taps: int
    shifts: tuple[int, ...]
    positions: int
    padding: tuple[int, int]

    def rows(self, phase: int) -> slice:
        """Return the windows that belong to ``phase``, one for each of its output rows."""
        count = -(-(self.output - phase) // self.scale)
        return slice(self.shifts[phase], self.shifts[phase] + count)


def _first_and_last(offsets: Offsets) -> list[tuple[int, int]]:
    seen = [[offset for offset in phase if offset is not None] or [0] for phase in offsets]
    return [(min(phase), max(phase)) for phase in seen]


@lru_cache(maxsize=256)
def axis(offsets: Offsets, size: int, output: int) -> Axis:
    """Return the plan for a small picture of ``size`` rows and an output of ``output``."""
    spans = _first_and_last(offsets)
    taps = max(last - first + 1 for first, last in spans)
    lowest = min(0, min(first for first, _ in spans))
    shifts = tuple(first - lowest for first, _ in spans)
    scale = len(offsets)
    positions = max(shift + -(-(output - phase) // scale) for phase, shift in enumerate(shifts))
    return Axis(scale, output, taps, shifts, positions, (-lowest, max(0, positions + taps - 1 + lowest - size)))


@lru_cache(maxsize=256)
def folding(down: Offsets, across: Offsets, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return the matrix (phases * taps, kh * kw) that adds up the weights which share a small pixel."""

    def one(offsets: Offsets) -> Tensor:
        spans = _first_and_last(offsets)
        taps = max(last - first + 1 for first, last in spans)
        matrix = torch.zeros(len(offsets), taps, len(offsets[0]), dtype=dtype, device=device)
        for phase, seen in enumerate(offsets):
            for tap, offset in enumerate(seen):
                if offset is not None:
                    matrix[phase, offset - spans[phase][0], tap] = 1
        return matrix

    both = torch.einsum("rti,cuj->rctuij", one(down), one(across))
    return both.flatten(4).flatten(0, 3)


def fold(weight: Tensor, matrix: Tensor, phases: int) -> Tensor:
    """Return the kernels of all phases (phases * O, taps * C) of a weight (O, kh * kw, C)."""
    out_channels, _, channels = weight.shape
    kernels = (matrix @ weight).view(out_channels, phases, -1)
    return kernels.transpose(0, 1).reshape(phases * out_channels, matrix.shape[0] // phases * channels)


def unfold(grad: Tensor, matrix: Tensor, phases: int, channels: int) -> Tensor:
    """Return the gradient (O, kh * kw, C) of the weight from that of the kernels: the transpose of :func:`fold`."""
    out_channels = grad.shape[0] // phases
    grad = grad.view(phases, out_channels, matrix.shape[0] // phases, channels).transpose(0, 1)
    return matrix.t() @ grad.reshape(out_channels, matrix.shape[0], channels)


def phase_windows(x: Tensor, down: Axis, across: Axis) -> Tensor:
    """Return the windows of a small picture (N, H, W, C) as a matrix (N * positions, taps * C)."""
    framed = padded(x, down.padding, across.padding)
    taps = windows(framed, (down.taps, across.taps), (1, 1))[:, : down.positions, : across.positions]
    return taps.reshape(len(x) * down.positions * across.positions, down.taps * across.taps * x.shape[3])


def add_phase_windows(grad: Tensor, down: Axis, across: Axis, size: tuple[int, int], channels: int) -> Tensor:
    """Return the gradient (N, H, W, C) of the small picture: the transpose of :func:`phase_windows`."""
    n = len(grad) // (down.positions * across.positions)
    grad = grad.view(n, down.positions, across.positions, down.taps, across.taps, channels)
    framed_size = size[0] + sum(down.padding), size[1] + sum(across.padding)
    framed = add_windows(grad, framed_size, (1, 1))
    top, left = down.padding[0], across.padding[0]
    return framed[:, top : top + size[0], left : left + size[1]]


def interleave(products: Tensor, n: int, down: Axis, across: Axis) -> Tensor:
    """Return the output (N, H_out, W_out, O) of the products (N * positions, phases * O)."""
    out_channels = products.shape[1] // (down.scale * across.scale)
    products = products.view(n, down.positions, across.positions, down.scale, across.scale, out_channels)
    y = products.new_empty(n, down.output, across.output, out_channels)
    for r, c in product(range(down.scale), range(across.scale)):
        y[:, r :: down.scale, c :: across.scale] = products[:, down.rows(r), across.rows(c), r, c]
    return y


def separate(grad: Tensor, down: Axis, across: Axis) -> Tensor:
    """Return the gradient of the products from that of the output (N, H_out, W_out, O): zero where none was used."""
    n, _, _, out_channels = grad.shape
    products = grad.new_zeros(n, down.positions, across.positions, down.scale, across.scale, out_channels)
    for r, c in product(range(down.scale), range(across.scale)):
        products[:, down.rows(r), across.rows(c), r, c] = grad[:, r :: down.scale, c :: across.scale]
    return products.view(n * down.positions * across.positions, down.scale * across.scale * out_channels)
