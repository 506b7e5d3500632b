"""What surrounds a component and must not change what it gives: the time of day, the process, its environment, torch's
defaults. Each can be made another for a while."""

from __future__ import annotations

import builtins
import datetime
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import ModuleType
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from layerkit.contracts.specs import Spec

LATER = 100_000_007
"""Seconds, more than three years."""


def modules_of(spec: type[Spec]) -> list[ModuleType]:
    """Return the modules of a component's own code: that of its spec and those in one package with it."""
    package = spec.__module__.rpartition(".")[0] or spec.__module__
    return [
        module
        for name, module in sys.modules.copy().items()
        if name == spec.__module__ or name.startswith(f"{package}.")
    ]


# Time, hashes and the number of the process


def _later(function: Callable[..., Any], by: float) -> Callable[..., Any]:
    def called(*arguments: Any) -> Any:
        return function() + by if not arguments else function(*arguments)

    return called


class _LaterDatetime(datetime.datetime):
    """A datetime whose clock is ahead."""

    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> Any:
        return datetime.datetime.fromtimestamp(_time() + LATER, tz)

    @classmethod
    def utcnow(cls) -> Any:
        return datetime.datetime.fromtimestamp(_time() + LATER, datetime.UTC).replace(tzinfo=None)

    @classmethod
    def today(cls) -> Any:
        return cls.now()


class _LaterDate(datetime.date):
    """A date whose clock is ahead."""

    @classmethod
    def today(cls) -> Any:
        return datetime.date.fromtimestamp(_time() + LATER)


_time, _hash = time.time, builtins.hash
_SECONDS = ("time", "monotonic", "perf_counter", "process_time", "thread_time")
_FORMATTED = ("localtime", "gmtime", "ctime")


def _other_hash(value: object) -> int:
    """Return the hash that a text, or what has one inside, might have in a process with another seed."""
    return _hash(value) if isinstance(value, int | float) else _hash(("another process", _hash(value)))


def _replacements() -> list[tuple[ModuleType, str, Any]]:
    """Return what stands in another place and time for what is in a module under a name."""
    found: list[tuple[ModuleType, str, Any]] = [(builtins, "hash", _other_hash)]
    for name in _SECONDS:
        found.append((time, name, _later(getattr(time, name), LATER + 0.5)))
        found.append((time, f"{name}_ns", _later(getattr(time, f"{name}_ns"), (LATER * 10**9) + 500_000_003)))
    for name in _FORMATTED:
        function = getattr(time, name)
        found.append((time, name, lambda at=None, function=function: function(_time() + LATER if at is None else at)))
    found += [(datetime, "datetime", _LaterDatetime), (datetime, "date", _LaterDate)]
    found += [(os, name, _later(getattr(os, name), 4321)) for name in ("getpid", "getppid")]
    return found


@contextmanager
def another_place_and_time(modules: list[ModuleType]) -> Iterator[None]:
    """Make the clock, ``hash`` of texts and the number of the process others, for ``modules`` by any name they use."""
    with ExitStack() as stack:
        for home, name, other in _replacements():
            original = getattr(home, name)
            stack.enter_context(mock.patch.object(home, name, other))
            for module in modules:
                for alias, value in list(vars(module).items()):
                    if value is original:
                        stack.enter_context(mock.patch.object(module, alias, other))
        yield


# The environment


class _Watched(os._Environ):  # type: ignore[type-arg]  # it is of texts
    """An environment that notes which variables a component's own code asks for."""

    asked: set[str]
    files: frozenset[str]

    def __getitem__(self, key: str) -> str:
        frame = sys._getframe(1)
        while frame.f_back is not None and frame.f_globals.get("__name__") in (
            "os",
            "_collections_abc",
            "collections.abc",
        ):
            frame = frame.f_back
        if frame.f_code.co_filename in type(self).files:
            type(self).asked.add(key)
        value: str = super().__getitem__(key)
        return value


@contextmanager
def variables_asked_for(modules: list[ModuleType]) -> Iterator[set[str]]:
    """Yield a set to which each environment variable is added that the code of ``modules`` asks for."""
    asked: set[str] = set()
    files = frozenset(str(getattr(module, "__file__", "")) for module in modules)
    watched = type("_WatchedNow", (_Watched,), {"asked": asked, "files": files})
    before = type(os.environ)
    os.environ.__class__ = watched
    try:
        yield asked
    finally:
        os.environ.__class__ = before


@contextmanager
def other_variables(names: set[str]) -> Iterator[None]:
    """Give environment variables other values."""
    with mock.patch.dict(os.environ, {name: "54321" if os.environ.get(name) != "54321" else "12345" for name in names}):
        yield


# Torch's defaults


class OtherDefaults(TorchFunctionMode):
    """Another default dtype and device, for floats that are made without saying which they are and where they lie.

    The device is ``meta``, where nothing else lies: that finds on any machine what goes wrong where the pictures are on
    an accelerator. Single numbers are left alone, for they may be used with tensors of any dtype and device, and so are
    whole numbers and truth values, for such an index may.
    """

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        self._dtype = dtype

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        said: dict[str, Any] = kwargs or {}
        result = func(*args, **said)
        # One that is given a tensor takes from that what is not said.
        if func not in _MAKERS or said.get("out") is not None or any(not isinstance(its, _PLAIN) for its in args):
            return result
        if not (isinstance(result, Tensor) and result.dim() and result.is_floating_point()):
            return result
        dtype = self._dtype if said.get("dtype") is None else result.dtype
        elsewhere = said.get("device") is None and said.get("generator") is None
        return result.to(dtype=dtype, device="meta" if elsewhere else result.device)


_MAKERS = {
    getattr(torch, name)
    for name in (
        *("arange", "bartlett_window", "blackman_window", "empty", "eye", "full", "hamming_window", "hann_window"),
        *(
            "linspace",
            "logspace",
            "ones",
            "rand",
            "randn",
            "tensor",
            "zeros",
            "normal",
            "empty_strided",
            "empty_permuted",
        ),
    )
}


_PLAIN = (int, float, tuple, list)
"""What sizes and values are written as, which say nothing of a device."""
