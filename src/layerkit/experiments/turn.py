"""Trials beside one another on a machine, and trials that must be alone on it because they are timed."""

from __future__ import annotations

import fcntl
import os
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from layerkit.errors import StoppedError

POLL_SECONDS = 0.2


@contextmanager
def turn(
    folder: Path, alone: bool, asked_to_stop: Callable[[], int | None], waits: Callable[[], None]
) -> Iterator[None]:
    """Wait until a trial may run on this machine, and let nothing beside it that may not be there.

    Args:
        folder: of the sweep; only processes that work on it know of one another.
        alone: whether no other trial may run on this machine meanwhile.
        asked_to_stop: gives the signal that asks for the end, or None.
        waits: called once when there is something to wait for.

    Raises:
        StoppedError: when it was asked to stop while it waited.
    """
    folder.mkdir(parents=True, exist_ok=True)
    here = platform.node() or "here"
    gate, place = (_opened(folder / f".{name}-{here}") for name in ("gate", "turn"))
    kind, waits = fcntl.LOCK_EX if alone else fcntl.LOCK_SH, cache(waits)  # told once, however often it waits
    try:
        # Who wants to be alone keeps the gate while it waits: else one trial after another would slip in before it.
        _wait(gate, kind, asked_to_stop, waits)
        _wait(place, kind, asked_to_stop, waits)
        if not alone:
            fcntl.flock(gate, fcntl.LOCK_UN)
        yield
    finally:
        os.close(gate)
        os.close(place)


def _opened(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT, 0o666)


def _wait(descriptor: int, kind: int, asked_to_stop: Callable[[], int | None], waits: Callable[[], None]) -> None:
    told = False
    while True:
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            pass
        signal = asked_to_stop()
        if signal is not None:
            raise StoppedError("stopped while it waited for other trials on this machine", signal)
        if not told:
            waits()
            told = True
        time.sleep(POLL_SECONDS)
