"""Lets Ctrl-C, SIGTERM and a closed terminal (SIGHUP) end a training between two steps, after it is saved."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from layerkit.errors import StoppedError

SIGNALS = [signal.SIGINT, signal.SIGTERM]
if hasattr(signal, "SIGHUP"):  # not on Windows
    SIGNALS.append(signal.SIGHUP)


@contextmanager
def interruptible() -> Iterator[Callable[[], int | None]]:
    """Catch these signals inside ``with``, and provide a function that returns the signal that has arrived, or None.

    Only the first signal is caught; a second one has its usual effect. Outside the main thread nothing is caught, since
    signals arrive only in the main thread.
    """
    received: list[int] = []

    def remember(number: int, _: FrameType | None) -> None:
        received.append(number)
        restore()

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    in_main = threading.current_thread() is threading.main_thread()
    caught = [number for number in SIGNALS if in_main and not _outlives_terminal(number)]
    before = {number: signal.signal(number, remember) for number in caught}
    try:
        yield lambda: received[0] if received else None
    finally:
        restore()


@contextmanager
def going_on_with(command: str) -> Iterator[None]:
    """Add to the message of a stop inside ``with`` the command that continues the work."""
    try:
        yield
    except StoppedError as stop:
        raise StoppedError(f"{stop}; go on with: {command}", stop.signal) from None


def _outlives_terminal(number: signal.Signals) -> bool:
    """Return whether the signal is that of a closed terminal, and was switched off, as nohup does."""
    return number.name == "SIGHUP" and signal.getsignal(number) is signal.SIG_IGN
