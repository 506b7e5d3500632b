"""Sums of shifted pictures: what is left of a convolution when all its products are made.

Along one direction, an output row s q + r (r is its *phase*) comes from rows near q of several pictures, the *kinds*,

    y[s q + r] = sum of  factor * z[kind][q + offset]      over the terms (phase r, kind, offset, factor).

A row outside the picture counts as zeros. In two directions the kinds are pairs, and the sums are done one direction
after the other, downwards and then across. The transpose of a sum of shifted pictures is a sum of pictures shifted the
other way: the same terms with the roles of y and z exchanged and the offsets negated.

Where it can, :mod:`layerkit.arithmetic.backends.fused` does all in one pass over memory, and elsewhere
:mod:`layerkit.arithmetic.backends.plain` does one operation for each term.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from torch import Tensor

from layerkit.arithmetic.axes import Axis, Move
from layerkit.arithmetic.backends import fused as fused_sums
from layerkit.arithmetic.backends import plain as plain_sums

Memory = Callable[[tuple[int, ...]], Tensor]
"""Gives memory for sums in one direction, (N, H, W, kinds, C), in the order in which it is to lie."""


@dataclass(frozen=True)
class Sums:
    """The sums in both directions."""

    down: Axis
    across: Axis

    def combine(self, z: Tensor, y: Tensor, memory: Memory, bias: Tensor | None = None, first: int = 0) -> list[Move]:
        """Return what sets ``y`` (N, H_out, W_out, C) to the sums of ``z`` (N, H, W, kinds down, kinds across, C).

        Args:
            memory: gives what is needed besides.
            bias: (C,), added to every sum.
            first: the row of ``z`` at which ``y`` begins, where it is not all of it.
        """
        if (fused := fused_sums.combine(self.down, self.across, z, y, bias, first)) is not None:
            return fused
        halfway = memory((len(y), y.shape[1], z.shape[2], self.across.kinds, y.shape[3]))
        moves = [*plain_sums.combine(self.down, z, halfway, 1, first), *plain_sums.combine(self.across, halfway, y, 2)]
        return [*moves, partial(y.add_, bias)] if bias is not None else moves

    def combine_transposed(self, y: Tensor, z: Tensor, memory: Memory, first: int = 0) -> list[Move]:
        """Return what sets ``z``, from its row ``first`` on, from ``y``: the transpose of :meth:`combine`."""
        if (fused := fused_sums.combine_transposed(self.down, self.across, y, z, first)) is not None:
            return fused
        halfway = memory((len(y), z.shape[1], y.shape[2], self.down.kinds, y.shape[3]))
        moves = plain_sums.combine_transposed(self.down, y, halfway, 1, first)
        return [*moves, *plain_sums.combine_transposed(self.across, halfway, z.transpose(3, 4), 2)]


class Work(NamedTuple):
    """What one pass of a layer does on memory that is settled, and what it returns."""

    moves: list[Move]
    result: Tensor


def one_kind(pictures: Tensor) -> Tensor:
    """Return (N, C, H, W) as pictures of one kind, (N, H, W, 1, 1, C): a view."""
    return pictures.permute(0, 2, 3, 1)[:, :, :, None, None]
