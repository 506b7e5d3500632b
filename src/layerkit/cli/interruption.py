"""Ctrl-C and SIGTERM end a training between two steps, after it is saved."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def interruptible() -> Iterator[Callable[[], int | None]]:
    """Catch these signals inside ``with``, and give a function that returns the one that has arrived, or None.

    Only the first is caught; a second does what it does anywhere else.
    """
    received: list[int] = []

    def remember(number: int, _: FrameType | None) -> None:
        received.append(number)
        restore()

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    before = {number: signal.signal(number, remember) for number in SIGNALS}
    try:
        yield lambda: received[0] if received else None
    finally:
        restore()
