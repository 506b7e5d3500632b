"""The states of random generators: whether one is valid, and what becomes of it on another kind of device.

Each kind of device draws other numbers, so a training that is continued on another one gets other random numbers from
there on. They depend on the state in which it was left, and are the same each time.
"""

from __future__ import annotations

import hashlib
import struct

import torch
from torch import Tensor


def generator_on(device: torch.device, generator: torch.Generator) -> torch.Generator:
    """Return a generator on a device: the same, or one whose seed depends on the state of one on another device."""
    if device.type == generator.device.type or device.type not in _GENERATORS:
        return generator
    return torch.Generator(device).manual_seed(_seed_of(generator.get_state()))


_GENERATORS = ("cpu", "cuda", "mps")
"""The kinds of devices that have random generators."""
_STATES = {"cpu": 5056, "cuda": 16}
"""The bytes of the state of a generator on each kind of device, where they are always as many."""


def set_state(generator: torch.Generator, state: Tensor) -> None:
    """Set a generator to a state, or, where that is one of another kind of device, to a seed that depends on it."""
    if is_of_another_device(generator.get_state(), state):
        generator.manual_seed(_seed_of(state))
    else:
        generator.set_state(state)


def is_of_another_device(own: Tensor, given: Tensor) -> bool:
    """Return whether ``given`` is the state of a generator on another kind of device than ``own`` is."""
    return (
        own.shape != given.shape and given.dtype == torch.uint8 and given.dim() == 1 and len(given) in _STATES.values()
    )


def _seed_of(state: Tensor) -> int:
    """Return a seed that depends on all of a generator's state."""
    return int.from_bytes(hashlib.sha256(state.numpy().tobytes()).digest()[:8], "little")


# torch stores its Mersenne twister on the CPU as: seed (8 bytes), numbers left before new ones are made (4), whether it
# was seeded (4), index of the next number (8), and 624 numbers.
_COUNTERS = struct.Struct("=QiiQ")
_NUMBERS = 624


def is_generator_state(generator: torch.Generator, state: Tensor) -> bool:
    """Return whether ``generator`` can be set to ``state``; the generator is not changed."""
    try:
        torch.Generator(generator.device).set_state(state)
    except (RuntimeError, TypeError):
        return False
    if generator.device.type != "cpu":
        return True
    # torch checks each counter, but not that both agree, and would then read beyond the end of its numbers.
    _, left, _, following = _COUNTERS.unpack_from(state.numpy().tobytes())
    return bool(left + following <= _NUMBERS + 1)
