"""Watches modules at work, by wrapping their ``forward`` and ``backward`` for a while."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Protocol

from torch import Tensor

from layerkit.contracts.module import Module

Forward = Callable[[Tensor], Tensor]
Backward = Callable[[Tensor], Tensor | None]


class Watcher(Protocol):
    """Is called in place of one module's methods; each call gets the module's own method, and has to call it."""

    def forward(self, method: Forward, x: Tensor) -> Tensor:
        """Return the module's output for ``x``."""

    def backward(self, method: Backward, grad_output: Tensor) -> Tensor | None:
        """Return the module's input gradient."""


@contextmanager
def watching(watched: Iterable[tuple[Module, Watcher]]) -> Iterator[None]:
    """Route every call of the modules' methods inside ``with`` through their watchers.

    Afterwards the modules are as they were before.
    """
    with ExitStack() as stack:
        for module, watcher in watched:
            stack.enter_context(_watching(module, watcher))
        yield


def is_watched(module: Module) -> bool:
    """Return whether the module has a watcher, which sees only what goes through the module's ``forward``."""
    return "forward" in vars(module)


@contextmanager
def _watching(module: Module, watcher: Watcher) -> Iterator[None]:
    around = {
        "forward": partial(watcher.forward, module.forward),
        "backward": partial(watcher.backward, module.backward),
    }
    before = {name: value for name, value in vars(module).items() if name in around}
    # An attribute of the instance hides the method of the class.
    for name, method in around.items():
        setattr(module, name, method)
    try:
        yield
    finally:
        for name in around:
            delattr(module, name)
        for name, method in before.items():
            setattr(module, name, method)
