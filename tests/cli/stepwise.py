"""The command line in a process of its own that stops before each change of the disk until it is told to go on.

Where it is killed is then a number of changes and not a time, the same place on a busy machine. No place is left out:
between two changes the disk looks the same, whenever the process ends.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from typing import Any

import torch

from layerkit.cli import main

CHANGES = ("open", "write", "truncate", "replace", "unlink", "mkdir")


class Stepwise:
    """A process that has been started, seen from the test."""

    def __init__(self, context: ForkServerContext, arguments: list[str]) -> None:
        self._connection, other_end = context.Pipe()
        self.process = context.Process(target=_run, args=(arguments, other_end))
        self.process.start()
        other_end.close()  # only the process has it now, so that its end is noticed

    def changes(self) -> Iterator[int]:
        """Yield the number of each change, from 0, while the process stands before it; it goes on for the next."""
        number = 0
        with suppress(EOFError):
            while True:
                self._connection.recv()
                yield number
                self._connection.send(None)
                number += 1

    def finish(self) -> int:
        """Let the process go on without stopping, wait for its end, and return its exit code."""
        self._connection.close()
        self.process.join()
        return self.process.exitcode


def _run(arguments: list[str], follower: Connection) -> None:
    for name in CHANGES:
        setattr(os, name, _stopping(getattr(os, name), follower))
    os.fsync = lambda descriptor: None  # what a killed process has written is kept without, and this takes long
    torch.set_num_threads(1)
    # As in a terminal of its own, whoever runs the tests: nohup, or a shell in the background, switches signals off.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    main(arguments)


def _stopping(change: Callable[..., Any], follower: Connection) -> Callable[..., Any]:
    def stopping(*arguments: Any, **named: Any) -> Any:
        with suppress(EOFError, OSError):  # nobody follows any more
            follower.send(None)
            follower.recv()
        if change.__name__ == "write":  # by halves, to stop in the middle too
            descriptor, data = arguments
            arguments = descriptor, data[: max(1, len(data) // 2)]
        return change(*arguments, **named)

    return stopping
