"""A batch that several processes share, each with some of its samples.

Most layers look at one sample at a time and need not know. One that mixes the samples of a batch asks here for sums
over all of it, see :meth:`layerkit.contracts.module.Module.over_batch`.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Protocol

from torch import Tensor


class SharedBatch(Protocol):
    """The batch of the step that is being made."""

    @property
    def samples(self) -> int:
        """How many samples all processes have together."""

    def summed(self, tensor: Tensor) -> Tensor:
        """Return the sum of the processes' tensors, all of one shape; the same bits in each process."""


SHARED: ContextVar[SharedBatch | None] = ContextVar("shared", default=None)
"""The batch that this thread has a part of; None where it has all of it."""
