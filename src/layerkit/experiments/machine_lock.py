"""A lock on this machine: several trials may run at the same time, but a timed trial runs alone."""

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
    """Wait until a trial may run on this machine, and keep out the trials that may not run at the same time.

    There is one lock, the gate, and there are many places. A process that shares the machine locks the gate, locks a
    free place and releases the gate. A process that needs the machine alone keeps the gate locked and waits until every
    place is free.

    Args:
        folder: the folder of the sweep; only processes that work on it are considered.
        exclusive: whether no other trial may run on this machine meanwhile.
        asked_to_stop: returns the signal that asked for a stop, or None.
        waits: called once if it is necessary to wait.

    Raises:
        StoppedError: when it was asked to stop while waiting.
        RunError: when the system refuses.
    """
    machine = folder / "machines" / (platform.node() or "here")
    places = machine / "places"
    places.mkdir(parents=True, exist_ok=True)
    waits = cache(waits)  # called only once, however often it is tried
    with ExitStack() as held, ExitStack() as gate:
        gate.callback(_locked(machine, asked_to_stop, waits).release)
        if exclusive:
            for place in places.iterdir():
                _locked(place, asked_to_stop, waits).release()  # no process can take it again while the gate is locked
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
            raise StoppedError("stopped while waiting for other trials on this machine", signal)
        waits()
        time.sleep(POLL_SECONDS)
