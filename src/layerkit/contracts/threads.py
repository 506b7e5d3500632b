"""Which threads may use a network at the same time: any number may evaluate it, and one alone may train it.

Evaluation only reads a network. What belongs to a call, the mode and the memory that is lent, is kept in variables that
are each thread's own, and never in the network. So nobody waits for anybody. To train a network is to write into it,
and where another thread would spoil that, or get a result that is spoilt by it, there is an error at once.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextvars import Token
from typing import Self

from layerkit.contracts.differentiable import EVALUATING, Differentiable, version
from layerkit.contracts.module import Module
from layerkit.errors import StateError

_REMEDY = "wait until it is done, or give each thread a copy of the network (copy.deepcopy)"
_CLAIMING = threading.Lock()
"""Held while claims are looked at and made, and never while a network works."""


class _Tokens(threading.local):
    """What the mode was each time that a thread entered."""

    def __init__(self) -> None:
        self.tokens: list[Token[bool]] = []


class Evaluating:
    """Lets a thread evaluate a network inside ``with``, which may be entered any number of times, by several threads.

    A thread that has entered sees all modules in evaluation mode, and no other thread does. Nobody may change the
    weights from the time that this is made to the end of the last ``with``, since what comes out would belong to no
    network.

    Args:
        network: that is evaluated.

    Raises:
        StateError: on entering, when another thread is in the middle of a training step of the network; on leaving,
            when its weights were changed.
    """

    def __init__(self, network: Module) -> None:
        self._network = network
        self._modules = [module for _, module in network.modules()]
        self._state = list(network.state_dict().values())
        self._versions = list(map(version, self._state))
        self._before = _Tokens()

    def __enter__(self) -> Self:
        for module in self._modules:
            if module.trained_elsewhere:
                raise StateError(
                    f"{type(self._network).__name__}: another thread is in the middle of a training step of this "
                    f"network; {_REMEDY}"
                )
        self._before.tokens.append(EVALUATING.set(True))
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        EVALUATING.reset(self._before.tokens.pop())
        if kind is None and list(map(version, self._state)) != self._versions:
            raise StateError(
                f"{type(self._network).__name__}: the weights of this network were changed while it was being "
                "evaluated; evaluate it between training steps, or evaluate a copy (copy.deepcopy)"
            )


class Training:
    """Lets this thread train modules and losses inside ``with``, which may be entered any number of times.

    Args:
        nodes: that are trained.

    Raises:
        StateError: on entering, when one of them is in the middle of a training step.
    """

    def __init__(self, nodes: Sequence[Differentiable]) -> None:
        self._nodes = nodes

    def __enter__(self) -> Self:
        with _CLAIMING:
            for node in self._nodes:
                if node.trained_by is not None:
                    raise StateError(
                        f"{type(node).__name__} is in the middle of a training step, of another thread most likely, "
                        f"and only one step may be made at a time; {_REMEDY}"
                    )
            self._claim(threading.get_ident())
        return self

    def __exit__(self, *_: object) -> None:
        self._claim(None)

    def _claim(self, thread: int | None) -> None:
        for node in self._nodes:
            # Past __setattr__, which looks after parameters and takes its time.
            node.__dict__["trained_by"] = thread
