"""Several processes that do one work together, as torchrun starts them, forked from one that has imported everything.

``torchrun`` itself takes seconds for its imports, and again in each process.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

import torch
from torch.distributed import TCPStore

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["layerkit.cli.training", "torch.distributed", "works"])


class Together:
    """Processes that have been started with one function; each calls it with the arguments.

    Args:
        size: how many; ranks go from 0 on.
        function: at the top of a module.
        arguments: of the function.
        before: processes in whose place these are started, as torchrun does with ``--max-restarts``.
    """

    def __init__(
        self, size: int, function: Callable[..., Any], *arguments: Any, before: Together | None = None
    ) -> None:
        # As torchrun keeps one, over all restarts.
        self._store = before._store if before else TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
        self._restarts = before._restarts + 1 if before else 0
        self.processes, self._answers = [], []
        for rank in range(size):
            answers, other_end = CONTEXT.Pipe(duplex=False)
            environment = {
                "RANK": str(rank),
                "LOCAL_RANK": str(rank),
                "WORLD_SIZE": str(size),
                "MASTER_ADDR": "127.0.0.1",
                "MASTER_PORT": str(self._store.port),
                "TORCHELASTIC_USE_AGENT_STORE": "True",
                "TORCHELASTIC_RESTART_COUNT": str(self._restarts),
            }
            process = CONTEXT.Process(target=_run, args=(environment, function, arguments, other_end))
            process.start()
            other_end.close()
            self.processes.append(process)
            self._answers.append(answers)

    def results(self) -> list[Any]:
        """Wait for all, and return what the function returned in each; the exit code of one that ended without."""
        results = []
        for process, answers in zip(self.processes, self._answers, strict=True):
            try:
                results.append(answers.recv())
            except EOFError:
                process.join()
                results.append(process.exitcode)
            process.join()
        return results


def together(size: int, function: Callable[..., Any], *arguments: Any) -> list[Any]:
    """Return what a function returns in each of several processes."""
    return Together(size, function, *arguments).results()


def _run(environment: dict[str, str], function: Callable[..., Any], arguments: Any, answers: Connection) -> None:
    os.environ.update(environment)
    torch.set_num_threads(1)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    answers.send(function(*arguments))
