from __future__ import annotations

import pytest
import torch
from torch import Tensor

from layerkit import ReLU, Sequential
from layerkit.contracts.watching import Backward, Forward, watching
from layerkit.errors import StateError


class Witness:
    """Writes down what passes, and doubles it."""

    def __init__(self, name: str, seen: list[str]) -> None:
        self.name, self.seen = name, seen

    def forward(self, method: Forward, x: Tensor) -> Tensor:
        self.seen.append(f"{self.name} forward")
        return 2 * method(x)

    def backward(self, method: Backward, grad_output: Tensor) -> Tensor | None:
        self.seen.append(f"{self.name} backward")
        return method(grad_output)


@pytest.fixture
def network() -> Sequential:
    return Sequential(ReLU(), Sequential(ReLU()))


def test_a_watcher_stands_around_the_methods_whoever_calls_them(network):
    seen, x = [], torch.rand(2, 3)
    watched = [(network[1], Witness("outer", seen)), (network[1][0], Witness("inner", seen))]
    with watching(watched):
        assert torch.equal(network(x), 4 * x)
        network.backward(torch.ones(2, 3))
        network[1](x)
    assert seen == ["outer forward", "inner forward", "outer backward", "inner backward", *seen[:2]]


def test_afterwards_nothing_is_different(network):
    seen, before = [], [dict(vars(module)) for _, module in network.modules()]
    with pytest.raises(StateError, match="backward before forward"), watching([(network, Witness("it", seen))]):
        network.backward(torch.ones(2, 3))
    assert [dict(vars(module)) for _, module in network.modules()] == before
    x = torch.rand(2, 3)
    assert torch.equal(network(x), x)
    assert seen == ["it backward"]


def test_two_watchers_of_one_module(network):
    seen, x = [], torch.rand(2, 3)
    with watching([(network, Witness("first", seen)), (network, Witness("second", seen))]):
        assert torch.equal(network(x), 4 * x)
    assert seen == ["second forward", "first forward"]
    assert not {"forward", "backward"} & vars(network).keys()


def test_a_method_that_an_instance_has_of_its_own_comes_back(network):
    network.forward = own = lambda x: x + 1
    with watching([(network, Witness("it", []))]):
        assert torch.equal(network(torch.zeros(2)), torch.full((2,), 2.0))
    assert network.forward is own
