"""Finds out from the environment whether torchrun has started this process together with others."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from layerkit.errors import UserError

if TYPE_CHECKING:
    from layerkit.distributed.group import Processes

TIMEOUT = 120.0
"""Seconds that a process waits for the others before it considers them lost."""

_FROM_TORCHRUN = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


def processes_of_torchrun(timeout: float = TIMEOUT) -> Processes | None:
    """Return the processes that torchrun has started together with this one; None where it is alone.

    Args:
        timeout: seconds that a process waits for the others before it takes them for lost.

    Raises:
        UserError: when the environment is not one that torchrun makes, or this torch has no ``torch.distributed``.
        ProcessError: when the others cannot be reached.
    """
    given = {name: os.environ.get(name, "") for name in _FROM_TORCHRUN}
    if not all(given.values()):
        return None
    for name in ("RANK", "WORLD_SIZE", "MASTER_PORT"):
        if not given[name].isdecimal():
            raise UserError(
                f'{name}="{given[name]}" in the environment is no number; start layerkit by torchrun, or unset {name}'
            )
    if int(given["WORLD_SIZE"]) == 1:
        return None
    from layerkit.distributed.group import Processes

    return Processes.joined(timeout, restarts())


def restarts() -> int:
    """Return how often torchrun has started all processes again because one failed (``--max-restarts``)."""
    count = os.environ.get("TORCHELASTIC_RESTART_COUNT", "")
    return int(count) if count.isdecimal() else 0
