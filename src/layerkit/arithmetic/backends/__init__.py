"""The implementations of sums of shifted pictures, the fastest first; :class:`Backend` is their interface.

A new one is a module here and its name in ``BACKENDS``. The tests compare each with the definition of the sums.
"""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from layerkit.arithmetic.axes import Axis
from layerkit.arithmetic.backends import fused, gpu, plain
from layerkit.arithmetic.passes import Memory, Move


class Backend(Protocol):
    """Computes the sums of :class:`layerkit.arithmetic.sums.Sums`, where the arguments are described."""

    __name__: str

    def device(self) -> str:
        """Return the type of a device, as torch names it, whose tensors it supports."""

    def unavailable(self) -> str:
        """Return what this backend lacks here, as a phrase that follows "without", or ``""`` if it is available."""

    def suits(self, down: Axis, across: Axis, z: Tensor, y: Tensor) -> bool:
        """Return whether this backend can compute the sums of such tensors, and their transpose."""

    def combine(
        self, down: Axis, across: Axis, z: Tensor, y: Tensor, memory: Memory, bias: Tensor | None, first: int
    ) -> list[Move]:
        """Return the moves that set ``y`` to the sums of ``z``."""

    def combine_transposed(
        self, down: Axis, across: Axis, y: Tensor, z: Tensor, memory: Memory, first: int
    ) -> list[Move]:
        """Return the moves that set ``z`` to the transpose of the sums, applied to ``y``."""


BACKENDS: tuple[Backend, ...] = (fused, gpu, plain)
