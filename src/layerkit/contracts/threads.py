"""Which threads may use a network at the same time: any number may evaluate it, but only one may train it.

Evaluation only reads a network. The state of a call, which is its mode and its workspace, is kept in variables of the
thread and never in the network, so no thread waits for another. Training writes into the network. If a second thread
would disturb the training, or get a wrong result because of it, an error is raised at once.
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
"""Held only while claims are read and changed, and never during a pass."""


class _Tokens(threading.local):
    """For one thread, the mode before each time that it entered."""

    def __init__(self) -> None:
        self.tokens: list[Token[bool]] = []


class Evaluating:
    """Lets threads evaluate a network inside ``with``, which may be entered any number of times, by several threads.

    Inside, all modules are in evaluation mode for the threads that have entered, and for no other. The weights must not
    change from the construction of this object to the end of the last ``with``, since the outputs would come from a
    mixture of two networks.

    Args:
        network: the network to evaluate.

    Raises:
        StateError: on entering, when another thread is in the middle of a training step of the network; on leaving,
            when its weights have changed.
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
        nodes: the modules and losses to train.

    Raises:
        StateError: on entering, when one of them is already in the middle of a training step.
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
            # Not by assignment, which would go through the slow __setattr__ that modules have for their parameters.
            node.__dict__["trained_by"] = thread
