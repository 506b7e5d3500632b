"""Sums of shifted pictures: the additions of a convolution, which follow its multiplications.

Along one direction, an output row s q + r (r is its *phase*) comes from rows near q of pictures, the *products*,

    y[s q + r] = sum of  factor * z[product][q + offset]      over the terms (phase r, product, offset, factor).

A product is most often an input times one tap of a kernel; in some layers it is the input itself. A row outside the
picture counts as zeros. In two dimensions a product has two numbers (down, across), and the sums are computed first
downwards and then across. The transpose of a sum of shifted pictures is a sum of pictures shifted the other way: the
same terms with y and z exchanged and the offsets negated.

The sums are computed by the first of :mod:`layerkit.arithmetic.backends` that suits the tensors.
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
        """Return the moves that set ``y`` to the sums of ``z``.

        Args:
            z: the products, (N, H, W, products down, products across, C).
            y: (N, H_out, W_out, C).
            memory: provides memory for intermediate results.
            bias: (C,), added to every sum.
            first: the row of ``z`` at which ``y`` begins, where ``y`` is only a part of the output.
        """
        return self._backend(z, y).combine(self.down, self.across, z, y, memory, bias, first)

    def combine_transposed(self, y: Tensor, z: Tensor, memory: Memory, first: int = 0) -> list[Move]:
        """Return the moves that set ``z``, from its row ``first`` on, from ``y``: the transpose of :meth:`combine`."""
        return self._backend(z, y).combine_transposed(self.down, self.across, y, z, memory, first)

    def _backend(self, z: Tensor, y: Tensor) -> Backend:
        return next(backend for backend in BACKENDS if backend.suits(self.down, self.across, z, y))


def single(pictures: Tensor) -> Tensor:
    """Return a view of pictures (N, C, H, W) as a single product, (N, H, W, 1, 1, C)."""
    return pictures.permute(0, 2, 3, 1)[:, :, :, None, None]
