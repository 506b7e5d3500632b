"""Sums of shifted pictures: what is left of a convolution when all its products are made.

Along one direction, an output row s q + r (r is its *phase*) comes from rows near q of pictures, the *products*,

    y[s q + r] = sum of  factor * z[product][q + offset]      over the terms (phase r, product, offset, factor).

A product is most often an input times one tap of a kernel; in some layers it is the input itself. A row outside the
picture counts as zeros. In two directions the products are numbered by pairs, and the sums are done one direction after
the other, downwards and then across. The transpose of a sum of shifted pictures is a sum of pictures shifted the other
way: the same terms with the roles of y and z exchanged and the offsets negated.

How they are computed is the business of :mod:`layerkit.arithmetic.backends`, of which the first that suits is taken.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from layerkit.arithmetic.axes import Axis
from layerkit.arithmetic.backends import BACKENDS, Backend
from layerkit.arithmetic.passes import Memory, Move


class Sums(NamedTuple):
    """The sums in both directions."""

    down: Axis
    across: Axis

    def combine(self, z: Tensor, y: Tensor, memory: Memory, bias: Tensor | None = None, first: int = 0) -> list[Move]:
        """Return what sets ``y`` to the sums of ``z``.

        Args:
            z: the products, (N, H, W, products down, products across, C).
            y: (N, H_out, W_out, C).
            memory: gives what is needed besides.
            bias: (C,), added to every sum.
            first: the row of ``z`` at which ``y`` begins, where it is not all of it.
        """
        return self._backend(z, y).combine(self.down, self.across, z, y, memory, bias, first)

    def combine_transposed(self, y: Tensor, z: Tensor, memory: Memory, first: int = 0) -> list[Move]:
        """Return what sets ``z``, from its row ``first`` on, from ``y``: the transpose of :meth:`combine`."""
        return self._backend(z, y).combine_transposed(self.down, self.across, y, z, memory, first)

    def _backend(self, z: Tensor, y: Tensor) -> Backend:
        return next(backend for backend in BACKENDS if backend.suits(self.down, self.across, z, y))


def single(pictures: Tensor) -> Tensor:
    """Return pictures (N, C, H, W) as the only product, (N, H, W, 1, 1, C): a view."""
    return pictures.permute(0, 2, 3, 1)[:, :, :, None, None]
