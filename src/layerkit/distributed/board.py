"""Short messages between processes, and numbers that they take in turn, in the store that torchrun keeps for them.

Whoever waits here waits as long as it takes: for a process that denoises a large picture, or reads a folder from a slow
disk. Sums of tensors are not waited for like this; a process that does not come in time for one is taken for lost.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Protocol

LOOK_EVERY = 0.05
"""Seconds between two looks at whether a message is there."""


class Store(Protocol):
    """What is used of a store of ``torch.distributed``: texts by name, which all processes see."""

    def set(self, key: str, value: str, /) -> None:
        """Write a text."""

    def get(self, key: str, /) -> bytes:
        """Return a text; wait for it if it is not there."""

    def check(self, keys: list[str], /) -> bool:
        """Return whether all these are there."""

    def add(self, key: str, amount: int, /) -> int:
        """Add to a number, 0 at first, and return it."""

    def compare_set(self, key: str, expected: str, value: str, /) -> bytes:
        """Write a text if what is there is the expected one, or if "" is expected and nothing is there; return it."""


class Board:
    """Messages and numbers by name; names are used once.

    Args:
        store: that all processes see.
        rank: of this process.
        size: how many there are.
        heed: raises what ends the work of all.
        or_lost: a context that finds out which process is lost when the store fails inside it.
    """

    def __init__(
        self,
        store: Store,
        rank: int,
        size: int,
        heed: Callable[[], None],
        or_lost: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self._store, self._rank, self._size, self._heed, self._or_lost = store, rank, size, heed, or_lost

    def take(self, name: str) -> int:
        """Return the next number of this name, from 0 on; each number goes to one call in one process.

        Raises:
            ProcessError: when another process has failed.
            StoppedError: when all are asked to stop.
        """
        self._heed()
        with self._or_lost():
            return self._store.add(name, 1) - 1

    def post(self, name: str, message: Any) -> None:
        """Write a message, data as JSON has it, of at most some megabytes.

        Raises:
            ProcessError: when torchrun is lost.
        """
        with self._or_lost():
            self._store.set(name, json.dumps(message))

    def read(self, name: str) -> Any:
        """Return a message, and wait until it is there.

        Raises:
            ProcessError, StoppedError: as :meth:`take` does.
        """
        with self._or_lost():
            while not self._store.check([name]):
                self._heed()
                time.sleep(LOOK_EVERY)
            return json.loads(self._store.get(name))

    def gather(self, name: str, message: Any = None) -> list[Any]:
        """Return the messages of all processes in the order of the ranks, and wait until all are there.

        Raises:
            ProcessError, StoppedError: as :meth:`take` does.
        """
        self.post(f"{name}/{self._rank}", message)
        return [self.read(f"{name}/{rank}") for rank in range(self._size)]
