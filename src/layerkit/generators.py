"""States of random generators that come from a file."""

from __future__ import annotations

import struct

import torch
from torch import Tensor

# torch keeps its Mersenne twister on the CPU as: seed (8 bytes), numbers left before new ones are made (4), whether it
# was seeded (4), place of the next number (8), and 624 numbers.
_COUNTERS = struct.Struct("=QiiQ")
_NUMBERS = 624


def is_generator_state(generator: torch.Generator, state: Tensor) -> bool:
    """Return whether ``state`` can be given to ``generator``, which is not changed."""
    try:
        torch.Generator(generator.device).set_state(state)
    except (RuntimeError, TypeError):
        return False
    if generator.device.type != "cpu":
        return True
    # torch checks both counters, but not that they fit together: it would read what lies behind its numbers.
    _, left, _, following = _COUNTERS.unpack_from(state.numpy().tobytes())
    return left + following <= _NUMBERS + 1
