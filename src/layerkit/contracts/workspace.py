"""Memory that layers use again at every step.

A new tensor of some hundred kilobytes costs more in page faults than the arithmetic that fills it. A trainer, which
repeats the same step and keeps nothing that the layers returned in the last one, therefore lends them a workspace. So
does a denoiser, which repeats the same for every tile of a picture.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Sequence
from contextvars import ContextVar, Token
from typing import Any, Self, TypeVar

import torch
from torch import Tensor

from layerkit.contracts.arena import Arena

Made = TypeVar("Made")
_Pool = tuple[str, torch.dtype, torch.device]


class Workspace:
    """Buffers by owner and name.

    They are lent inside ``with workspace:`` only, by one thread at a time to what that thread calls, and overwritten
    inside the next one. All owners share the scratch memory, so that each layer works on memory that the layer before
    it has left in the cache.

    Args:
        owners: the modules and losses that it is lent to. Any other network that is called on the way gets new memory
            each time, since whoever called that may keep what it returned.
    """

    def __init__(self, owners: Iterable[object]) -> None:
        self._owners = {id(owner): owner for owner in owners}  # held, so that nothing else gets their ids
        self._before: list[Token[Workspace | None]] = []
        self._buffers: dict[tuple[Hashable, str], Tensor] = {}
        self._alike: dict[tuple[Hashable, str], tuple[Tensor, tuple[int, ...]]] = {}
        self._pools: dict[_Pool, Tensor] = {}
        self._scratch: dict[tuple[_Pool, tuple[int, ...]], Tensor] = {}
        self._arena = Arena()
        self._plans: dict[tuple[Hashable, str], tuple[list[tuple[Tensor, int]], Any]] = {}

    def __enter__(self) -> Self:
        if not self._before:
            self._arena.clear()
        self._before.append(LENT.set(self))
        return self

    def __exit__(self, *_: object) -> None:
        LENT.reset(self._before.pop())

    def lends_to(self, owner: object) -> bool:
        """Return whether it was made for ``owner``."""
        return id(owner) in self._owners

    def empty(self, owner: Hashable, name: str, shape: tuple[int, ...], like: Tensor) -> Tensor:
        """Return the owner's contiguous tensor of that name, not cleared, of the dtype and device of ``like``."""
        buffer = self._buffers.get((owner, name))
        if buffer is None or buffer.shape != shape or buffer.dtype != like.dtype or buffer.device != like.device:
            buffer = torch.empty(shape, dtype=like.dtype, device=like.device)
            if self.lends_to(owner):
                self._buffers[owner, name] = buffer
        return buffer

    def scratch(self, owner: object, name: str, shape: tuple[int, ...], like: Tensor) -> Tensor:
        """Return a contiguous tensor of the dtype and device of ``like``; any owner that asks for the name gets it."""
        if not self.lends_to(owner):
            return torch.empty(shape, dtype=like.dtype, device=like.device)
        key = name, like.dtype, like.device
        tensor = self._scratch.get((key, shape))
        if tensor is None:
            count, pool = math.prod(shape), self._pools.get(key)
            if pool is None or len(pool) < count:
                pool = self._pools[key] = torch.empty(count, dtype=like.dtype, device=like.device)
                self._scratch = {other: held for other, held in self._scratch.items() if other[0] != key}
            tensor = self._scratch[key, shape] = pool[:count].view(shape)
        return tensor

    def empty_like(self, owner: Hashable, name: str, like: Tensor) -> Tensor:
        """Return the owner's tensor of that name, as ``torch.empty_like`` makes it: of the same order in memory."""
        buffer, stride = self._alike.get((owner, name), (None, None))
        if (
            buffer is None
            or buffer.shape != like.shape
            or stride != like.stride()
            or buffer.dtype != like.dtype
            or buffer.device != like.device
        ):
            buffer = torch.empty_like(like)
            if self.lends_to(owner):
                self._alike[owner, name] = buffer, like.stride()
        return buffer

    def passed_on(self, owner: object, shape: tuple[int, ...], like: Tensor) -> Tensor:
        """Return a contiguous tensor of the dtype and device of ``like``, which is the owner's until it is released."""
        if not self.lends_to(owner):
            return torch.empty(shape, dtype=like.dtype, device=like.device)
        return self._arena.take(shape, like)

    def release(self, tensor: Tensor) -> None:
        """Let what :meth:`passed_on` returned be given to others, if ``tensor`` lies in it."""
        self._arena.release(tensor)

    def plan(self, owner: Hashable, name: str, tensors: Sequence[Tensor], make: Callable[[], Made]) -> Made:
        """Return what ``make`` returns, calling it again only when ``tensors`` are not where they were before."""
        planned = self._plans.get((owner, name))
        if planned is None or not all(map(_same_memory, planned[0], tensors)):
            made = make()
            if not self.lends_to(owner):
                return made
            # The plan keeps its tensors alive, so that an equal address later means the same memory.
            planned = self._plans[owner, name] = [(tensor, tensor.data_ptr()) for tensor in tensors], made
        return planned[1]


LENT: ContextVar[Workspace | None] = ContextVar("lent", default=None)
"""The workspace that is lent in this thread. (``threading.local``, read at every layer, would take twice the time.)"""


def _same_memory(held: tuple[Tensor, int], b: Tensor) -> bool:
    a, address = held
    if b.data_ptr() != address:
        return False
    return a is b or (a.shape == b.shape and a.stride() == b.stride() and a.dtype == b.dtype)
