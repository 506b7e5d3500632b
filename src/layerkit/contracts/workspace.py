"""Memory that layers use again at every step.

A fresh tensor of some hundred kilobytes costs more in page faults than the arithmetic that fills it. Whoever repeats
the same step, and holds nothing of what the layers returned in the last one, lends them a workspace.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Self, TypeVar

import torch
from torch import Tensor

Made = TypeVar("Made")


class Workspace:
    """Buffers by owner and name. They are handed out only inside ``with workspace:``, and overwritten at the next.

    Scratch memory is common to all owners, so that what one layer writes and reads lies where the layer before it wrote
    and read, in the cache.
    """

    def __init__(self) -> None:
        self.active = False
        self._buffers: dict[tuple[Any, str], Any] = {}
        self._pools: dict[tuple[Any, ...], Tensor] = {}
        self._scratch: dict[tuple[Any, ...], Tensor] = {}
        self._plans: dict[tuple[Any, str], tuple[list[tuple[Tensor, int]], Any]] = {}

    def __enter__(self) -> Self:
        self.active = True
        return self

    def __exit__(self, *_: object) -> None:
        self.active = False

    def empty(self, owner: Any, name: str, shape: tuple[int, ...], like: Tensor) -> Tensor:
        """Return the contiguous tensor of that name, with whatever is in it, of the dtype and device of ``like``."""
        buffer = self._buffers.get((owner, name))
        if buffer is None or buffer.shape != shape or buffer.dtype != like.dtype or buffer.device != like.device:
            buffer = self._buffers[owner, name] = torch.empty(shape, dtype=like.dtype, device=like.device)
        return buffer

    def scratch(self, name: str, shape: tuple[int, ...], like: Tensor) -> Tensor:
        """Return a contiguous tensor of the dtype and device of ``like``; who asks for the name next gets it too."""
        kind = name, like.dtype, like.device
        tensor = self._scratch.get((kind, shape))
        if tensor is None:
            count, pool = math.prod(shape), self._pools.get(kind)
            if pool is None or len(pool) < count:
                pool = self._pools[kind] = torch.empty(count, dtype=like.dtype, device=like.device)
                self._scratch = {key: held for key, held in self._scratch.items() if key[0] != kind}
            tensor = self._scratch[kind, shape] = pool[:count].view(shape)
        return tensor

    def empty_like(self, owner: Any, name: str, like: Tensor) -> Tensor:
        """Return the tensor of that name that ``torch.empty_like`` would make, of the same order in memory."""
        buffer, stride = self._buffers.get((owner, name), (None, None))
        if buffer is None or buffer.shape != like.shape or stride != like.stride() or buffer.dtype != like.dtype:
            buffer = torch.empty_like(like)
            self._buffers[owner, name] = buffer, like.stride()
        return buffer

    def plan(self, owner: Any, name: str, tensors: Sequence[Tensor], make: Callable[[], Made]) -> Made:
        """Return what ``make`` gives, made anew only when ``tensors`` lie elsewhere than at the last time."""
        planned = self._plans.get((owner, name))
        if planned is None or not all(map(_same_memory, planned[0], tensors)):
            made = make()
            # The plan holds its tensors, so their memory cannot have been given to another.
            planned = self._plans[owner, name] = [(tensor, tensor.data_ptr()) for tensor in tensors], made
        return planned[1]


def _same_memory(held: tuple[Tensor, int], b: Tensor) -> bool:
    a, address = held
    if b.data_ptr() != address:
        return False
    return a is b or (a.shape == b.shape and a.stride() == b.stride() and a.dtype == b.dtype)
