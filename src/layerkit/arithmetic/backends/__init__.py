"""The ways in which sums of shifted pictures are computed, the fastest first; :class:`Backend` says what each must do.

A new one is a module here and its name in ``BACKENDS``. The tests hold each of them to the definition of the sums.
"""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from layerkit.arithmetic.axes import Axis
from layerkit.arithmetic.backends import fused, plain
from layerkit.arithmetic.passes import Memory, Move


class Backend(Protocol):
    """What computes the sums of :class:`layerkit.arithmetic.sums.Sums`, which says what the arguments are."""

    __name__: str
    DEVICE: str
    """The type of device, as torch names it, whose tensors it is made for, or one of them."""

    def unavailable(self) -> str:
        """Return why this backend can compute nothing here, as a sentence goes on after "without", or ``""``."""

    def suits(self, down: Axis, across: Axis, z: Tensor, y: Tensor) -> bool:
        """Return whether this backend can compute the sums of such tensors, and their transpose."""

    def combine(
        self, down: Axis, across: Axis, z: Tensor, y: Tensor, memory: Memory, bias: Tensor | None, first: int
    ) -> list[Move]:
        """Return what sets ``y`` to the sums of ``z``."""

    def combine_transposed(
        self, down: Axis, across: Axis, y: Tensor, z: Tensor, memory: Memory, first: int
    ) -> list[Move]:
        """Return what sets ``z`` to the transpose of the sums, of ``y``."""


BACKENDS: tuple[Backend, ...] = (fused, plain)
