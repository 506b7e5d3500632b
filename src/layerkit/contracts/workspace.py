"""Memory that layers use again at every step.

The page faults of a new tensor of a few hundred kilobytes take longer than the arithmetic that fills it. Therefore a
trainer, which repeats the same step and keeps no tensor that the layers returned in the last step, lends them a
workspace. So does a denoiser, which repeats the same pass for every tile of a picture.
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

    They are lent only inside ``with workspace:``, to the modules that one thread calls there, and are overwritten
    inside the next ``with``. All owners share the scratch memory, so that each layer works on memory that the layer
    before it has left in the cache.

    Args:
        owners: the modules and losses that it is lent to. Any other network that is called inside ``with`` gets new
            memory each time, since its caller may keep the outputs.
    """

    def __init__(self, owners: Iterable[object]) -> None:
        self._owners = {id(owner): owner for owner in owners}  # kept alive, so that no other object gets their ids
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
        """Return whether the workspace was made for ``owner``."""
        return id(owner) in self._owners

    def empty(self, owner: Hashable, name: str, shape: tuple[int, ...], like: Tensor) -> Tensor:
        """Return the owner's contiguous tensor of that name, uninitialized, with the dtype and device of ``like``."""
        buffer = self._buffers.get((owner, name))
        if buffer is None or buffer.shape != shape or buffer.dtype != like.dtype or buffer.device != like.device:
            buffer = torch.empty(shape, dtype=like.dtype, device=like.device)
            if self.lends_to(owner):
                self._buffers[owner, name] = buffer
        return buffer

    def scratch(self, owner: object, name: str, shape: tuple[int, ...], like: Tensor) -> Tensor:
        """Return the contiguous tensor of that name, shared by all owners, with the dtype and device of ``like``."""
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
        """Return the owner's tensor of that name in the shape, dtype, device and memory order of ``like``."""
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
        """Return a contiguous tensor with the dtype and device of ``like``, the owner's until it is released."""
        if not self.lends_to(owner):
            return torch.empty(shape, dtype=like.dtype, device=like.device)
        return self._arena.take(shape, like)

    def release(self, tensor: Tensor) -> None:
        """Let the memory of ``tensor`` be lent to other owners, if it came from :meth:`passed_on`."""
        self._arena.release(tensor)

    def plan(self, owner: Hashable, name: str, tensors: Sequence[Tensor], make: Callable[[], Made]) -> Made:
        """Return the result of ``make``, which is called again only when the memory of ``tensors`` has changed."""
        planned = self._plans.get((owner, name))
        if planned is None or not all(map(_same_memory, planned[0], tensors)):
            made = make()
            if not self.lends_to(owner):
                return made
            # The plan keeps its tensors alive, so that an equal address later means the same memory.
            planned = self._plans[owner, name] = [(tensor, tensor.data_ptr()) for tensor in tensors], made
        return planned[1]


LENT: ContextVar[Workspace | None] = ContextVar("lent", default=None)
"""The workspace that is lent in this thread. (It is read at every layer; ``threading.local`` would be half as fast.)"""


def _same_memory(held: tuple[Tensor, int], b: Tensor) -> bool:
    a, address = held
    if b.data_ptr() != address:
        return False
    return a is b or (a.shape == b.shape and a.stride() == b.stride() and a.dtype == b.dtype)
