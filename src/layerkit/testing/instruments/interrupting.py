"""Calls that another thread interrupts, at a line that the caller chooses."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import torch

PATIENCE = 5.0
"""Seconds for which the interrupted call stands still. A thread that is not ready by then is assumed to wait for a lock
that the call holds: then the call goes on, and the thread after it."""

_TORCH = str(Path(torch.__file__).parent)


def count_lines(call: Callable[[], object]) -> int:
    """Return how many lines of Python ``call`` runs, without those of torch."""
    count = 0

    def another() -> None:
        nonlocal count
        count += 1

    _trace(call, another)
    return count


def interrupt(call: Callable[[], object], line: int, meanwhile: Callable[[], object]) -> None:
    """Run ``call``, and all of ``meanwhile`` in another thread before ``call`` comes to its line number ``line``.

    Lines are counted from 0 in the order in which they are run. An error of ``meanwhile`` is raised here.
    """
    count = 0
    errors: list[Exception] = []

    def run() -> None:
        try:
            meanwhile()
        except Exception as error:
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)

    def another() -> None:
        nonlocal count
        if count == line:
            thread.start()
            thread.join(PATIENCE)
        count += 1

    _trace(call, another)
    if thread.ident is not None:
        thread.join()
    if errors:
        raise errors[0]


def _trace(call: Callable[[], object], before_each_line: Callable[[], None]) -> None:
    def within(frame: FrameType, event: str, argument: Any) -> Any:
        if event == "line":
            before_each_line()
        return within

    def entered(frame: FrameType, event: str, argument: Any) -> Any:
        return None if frame.f_code.co_filename.startswith(_TORCH) else within

    before = sys.gettrace()
    sys.settrace(entered)
    try:
        call()
    finally:
        sys.settrace(before)
