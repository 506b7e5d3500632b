"""A lock on this machine: trials run beside one another, but nothing runs beside one that is timed."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path

from layerkit.disk import FolderLock
from layerkit.errors import FolderInUseError, StoppedError

POLL_SECONDS = 0.2


@contextmanager
def machine_lock(
    folder: Path, exclusive: bool, asked_to_stop: Callable[[], int | None], waits: Callable[[], None]
) -> Iterator[None]:
    """Wait until a trial may run on this machine, and keep out what may not run beside it.

    Everybody enters through one gate. Whoever shares the machine takes a free place behind it and opens the gate again;
    whoever wants it alone keeps the gate shut and waits until every place is free.

    Args:
        folder: of the sweep; only processes that work on it know of one another.
        exclusive: whether no other trial may run on this machine meanwhile.
        asked_to_stop: gives the signal that asks for the end, or None.
        waits: called once when there is something to wait for.

    Raises:
        StoppedError: when it was asked to stop while it waited.
        RunError: when the system refuses.
    """
    machine = folder / "machines" / (platform.node() or "here")
    places = machine / "places"
    places.mkdir(parents=True, exist_ok=True)
    waits = cache(waits)  # told once, however often it is tried
    with ExitStack() as held, ExitStack() as gate:
        gate.callback(_locked(machine, asked_to_stop, waits).release)
        if exclusive:
            for place in places.iterdir():
                _locked(place, asked_to_stop, waits).release()  # nobody takes it again while the gate is shut
        else:
            held.callback(_free_place(places).release)
            gate.close()
        yield


def _free_place(places: Path) -> FolderLock:
    number = 0
    while True:
        place = places / str(number)
        place.mkdir(exist_ok=True)
        try:
            return FolderLock(place)
        except FolderInUseError:
            number += 1


def _locked(folder: Path, asked_to_stop: Callable[[], int | None], waits: Callable[[], None]) -> FolderLock:
    while True:
        try:
            return FolderLock(folder)
        except FolderInUseError:
            pass
        signal = asked_to_stop()
        if signal is not None:
            raise StoppedError("stopped while it waited for other trials on this machine", signal)
        waits()
        time.sleep(POLL_SECONDS)
