"""Memory for the outputs of layers in evaluation mode, where most outputs are needed only by the next layer."""

from __future__ import annotations

import math

import torch
from torch import Tensor


class Arena:
    """Buffers that are used for one tensor after another.

    A tensor is in use from :meth:`take` to :meth:`release` or :meth:`clear`. When the same calls are repeated in the
    same order, they get the same memory after a few rounds.
    """

    def __init__(self) -> None:
        self._buffers: list[Tensor] = []
        self._used: set[int] = set()  # the addresses of the buffers that are in use

    def take(self, shape: tuple[int, ...], like: Tensor) -> Tensor:
        """Return a contiguous tensor, not cleared, of the dtype and device of ``like``."""
        count = math.prod(shape)
        free = [index for index, buffer in enumerate(self._buffers) if self._is_free(buffer, like)]
        fitting = [index for index in free if len(self._buffers[index]) >= count]
        if fitting:
            buffer = self._buffers[min(fitting, key=self._length)]
        else:
            buffer = torch.empty(max(1, count), dtype=like.dtype, device=like.device)
            if free:  # replace the largest, so that there are never more buffers than were in use at once
                self._buffers[max(free, key=self._length)] = buffer
            else:
                self._buffers.append(buffer)
        self._used.add(buffer.data_ptr())
        return buffer[:count].view(shape)

    def release(self, tensor: Tensor) -> None:
        """Let the memory of ``tensor`` be taken again; does nothing if it did not come from :meth:`take`."""
        self._used.discard(tensor.untyped_storage().data_ptr())

    def clear(self) -> None:
        """Release everything that is in use."""
        self._used.clear()

    def _is_free(self, buffer: Tensor, like: Tensor) -> bool:
        alike = (buffer.dtype, buffer.device) == (like.dtype, like.device)
        return alike and buffer.data_ptr() not in self._used

    def _length(self, index: int) -> int:
        return len(self._buffers[index])
