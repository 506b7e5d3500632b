"""Observes the side effects of a component: the memory it holds, the files it opens, the random numbers it draws."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from types import ModuleType
from typing import Any

import numpy
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from layerkit.testing.check import CheckFailed, require

# Memory


def reachable(root: object) -> dict[int, object]:
    """Return everything that can be reached from an object's attributes and that may hold something, by identity."""
    seen: dict[int, object] = {}
    waiting: list[object] = [root]
    while waiting:
        here = waiting.pop()
        if id(here) in seen or isinstance(here, str | bytes | int | float | type | ModuleType | torch.Generator | None):
            continue
        seen[id(here)] = here
        if isinstance(here, Tensor):
            continue
        if isinstance(here, dict):
            waiting += here.values()
        elif isinstance(here, list | tuple | set | frozenset):
            waiting += here
        elif closure := getattr(here, "__closure__", None):
            waiting += (cell.cell_contents for cell in closure if _filled(cell))
        elif hasattr(here, "__dict__"):
            waiting.append(vars(here))
    return seen


def reachable_tensors(root: object) -> dict[int, Tensor]:
    """Return every tensor that can be reached from an object's attributes, by identity."""
    return {key: value for key, value in reachable(root).items() if isinstance(value, Tensor)}


def held_items(root: object) -> int:
    """Return how many items all lists, dicts and sets have that can be reached from an object."""
    return sum(len(value) for value in reachable(root).values() if isinstance(value, dict | list | set))


def _filled(cell: Any) -> bool:
    try:
        cell.cell_contents  # noqa: B018 - an empty cell raises
    except ValueError:
        return False
    return True


def held_bytes(root: object) -> int:
    """Return the bytes of all storages that can be reached from an object, each counted once."""
    storages = {tensor.untyped_storage().data_ptr(): tensor for tensor in reachable_tensors(root).values()}
    return sum(tensor.untyped_storage().nbytes() for tensor in storages.values())


def share_memory(first: Tensor, second: Tensor) -> bool:
    """Return whether two tensors lie in one storage."""
    if not first.numel() or not second.numel():
        return False
    return first.untyped_storage().data_ptr() == second.untyped_storage().data_ptr()


@contextmanager
def empty_memory_is_nan() -> Iterator[None]:
    """Let torch fill what ``empty`` returns, as it does in its deterministic mode."""
    # Not use_deterministic_algorithms, which does the same and loads torch's compiler first, for seconds.
    before = torch.get_deterministic_debug_mode()
    torch.set_deterministic_debug_mode("warn")
    try:
        yield
    finally:
        torch.set_deterministic_debug_mode(before)


# Randomness and settings that belong to the whole process


@contextmanager
def nothing_global_touched(doing: str) -> Iterator[None]:
    """Fail when the block draws from a global random generator, or changes a setting of torch."""
    before = _global_state()
    yield
    for name, state in _global_state().items():
        require(before[name] == state, f"{doing} touched {name}, which belongs to the whole process")


@contextmanager
def settings_put_back() -> Iterator[None]:
    """Undo what the block does to torch's settings, which would change every check and every test after it."""
    threads, dtype = torch.get_num_threads(), torch.get_default_dtype()
    try:
        yield
    finally:
        if torch.get_num_threads() != threads:
            torch.set_num_threads(threads)
        torch.set_default_dtype(dtype)


def _global_state() -> dict[str, Any]:
    numpys = numpy.random.get_state(legacy=False)
    return {
        "torch's global random generator": torch.get_rng_state().numpy().tobytes(),
        "Python's global random generator": random.getstate(),
        "numpy's global random generator": (numpys["state"]["key"].tobytes(), numpys["state"]["pos"], numpys["gauss"]),
        "torch's default dtype": torch.get_default_dtype(),
        "torch's number of threads": torch.get_num_threads(),
        "torch's gradient mode": torch.is_grad_enabled(),
        "torch's deterministic mode": torch.are_deterministic_algorithms_enabled(),
    }


# Files and sockets

_WATCHED = ("open", "socket.", "subprocess.", "os.system", "os.remove", "os.mkdir", "os.rename", "urllib.")
_listener: ContextVar[list[str] | None] = ContextVar("audit events", default=None)


@cache
def _install_audit_hook() -> None:
    """Let Python tell of files and sockets; a hook cannot be removed, so there is one, quiet by default."""

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        events = _listener.get()
        if events is not None and event.startswith(_WATCHED):
            events.append(f"{event}({arguments[0]!r})" if arguments else event)

    sys.addaudithook(hook)


@contextmanager
def nothing_opened(doing: str) -> Iterator[None]:
    """Fail when the block opens a file or a socket, or starts a process; importing modules does not count."""
    _install_audit_hook()
    events: list[str] = []
    token = _listener.set(events)
    try:
        yield
    finally:
        _listener.reset(token)
    outside = [event for event in events if ".py" not in event and "site-packages" not in event]
    require(not outside, f"{doing} reaches outside: {', '.join(outside[:3])}")


# What torch is asked to do


class Operations(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch declares no types for it
    """Records the names of torch's operations, and can fail at one of them.

    Attributes:
        names: of the operations so far.
        graphs: whether any of them ran with autograd switched on.
        fail_at: the number of the operation to fail at.
    """

    def __init__(self, fail_at: int | None = None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # as above
        self.names: list[str] = []
        self.fail_at = fail_at

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Keep torch from loading its compiler, for seconds, only to tell it to leave this class alone."""
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if len(self.names) == self.fail_at:
            raise Interrupted(func.name())
        self.names.append(func.name())
        return func(*args, **(kwargs or {}))


class Interrupted(RuntimeError):
    """What :class:`Operations` fails with, as a device out of memory would."""


def without_autograd(function: Callable[[], Any], doing: str) -> Any:
    """Return what ``function`` returns; fail when it asks autograd for a gradient."""
    calls: list[str] = []
    saved = {name: getattr(torch.autograd, name) for name in ("grad", "backward")}

    def watched(name: str) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            calls.append(name)
            return saved[name](*args, **kwargs)

        return call

    for name in saved:
        setattr(torch.autograd, name, watched(name))
    try:
        result = function()
    finally:
        for name, original in saved.items():
            setattr(torch.autograd, name, original)
    if calls:
        raise CheckFailed(f"{doing} asks torch.autograd.{calls[0]} for a gradient, which is to be written by hand")
    return result
