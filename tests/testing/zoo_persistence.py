"""Layers that are not the same after saving, copying or many steps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import torch
from torch import Tensor
from zoo_building import Bent, Centred, Dropped, Layer, Scaled


class StateForgetsABuffer(Centred):
    """The running mean is an attribute and not part of the state."""

    caught_by = "state_round_trips"

    def prepare(self, generator: torch.Generator) -> None:
        self.running = torch.zeros((), dtype=torch.float64)

    def forward(self, x: Tensor) -> Tensor:
        self.running = self.running.to(x.dtype)
        return super().forward(x)


class StateForgetsACounter(Layer):
    """What it computes depends on how often it was called, which the state does not say."""

    caught_by = "state_round_trips"
    calls = 0

    def forward(self, x: Tensor) -> Tensor:
        y = x * (1 + self.calls)
        self.save(1 + self.calls)
        self.calls += self.training and bool(len(x))
        return y

    def backward(self, grad_output: Tensor) -> Tensor:
        (factor,) = self.saved()
        return grad_output * factor


class LoadingReplacesTensors(Scaled):
    """Loading a state puts new tensors in place of the parameters."""

    caught_by = "state_round_trips"

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        super().load_state_dict(state)
        self.__dict__["scale"] = self.scale.clone()


class StateTakesAnything(Scaled):
    """Loads what it knows of a state and is silent about the rest."""

    caught_by = "wrong_state_is_refused"

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        for name, tensor in self.state_dict().items():
            if name in state:
                tensor.copy_(state[name].reshape(-1)[: tensor.numel()].reshape(tensor.shape))


class StateHalfLoaded(Scaled):
    """A wrong state is refused after the first tensors have been loaded."""

    caught_by = "wrong_state_is_refused"

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        for name, tensor in self.state_dict().items():
            if name in state and state[name].shape == tensor.shape:
                tensor.copy_(state[name])
        super().load_state_dict(state)


class CopySharesItsMask(Dropped):
    """A copy goes on with the original's random generator."""

    caught_by = "copies_share_nothing"

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        twin = type(self)(self.channels, torch.Generator().manual_seed(0))
        twin.generator = self.generator
        return twin


class CopySharesItsWeights(Scaled):
    """A copy has the original's weights."""

    caught_by = "copies_share_nothing"

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        twin = type(self).__new__(type(self))
        twin.__dict__.update(self.__dict__)
        return twin


class CannotBePickled(Bent):
    """Holds a function without a name."""

    caught_by = "copies_share_nothing"

    def prepare(self, generator: torch.Generator) -> None:
        self.square = lambda x: x * x


class GrowsWithEveryStep(Bent):
    """Keeps every output it has ever returned."""

    caught_by = "does_not_grow"

    def prepare(self, generator: torch.Generator) -> None:
        self.history: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        y = super().forward(x)
        if self.training:
            self.history.append(y.clone())
        return y


class CountsForever(Bent):
    """Keeps a number of every step in a list of its class."""

    caught_by = "does_not_grow"
    log: ClassVar[list[float]] = []

    def forward(self, x: Tensor) -> Tensor:
        self.log.append(float(x.sum()))
        return super().forward(x)
