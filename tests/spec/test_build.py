from __future__ import annotations

import json
from typing import Literal

import pytest
import torch

from layerkit.builtin.layers.relu import ReLUSpec
from layerkit.builtin.layers.sequential import Sequential
from layerkit.errors import PluginError
from layerkit.spec.architecture import Architecture, build
from layerkit.spec.loading import load_architecture
from layerkit.spec.tracing import trace


@pytest.fixture
def architecture() -> Architecture:
    layers = [
        {"type": "conv2d", "out_channels": 4, "kernel_size": 2, "stride": 2},
        {"type": "relu"},
        {"type": "sequential", "layers": [{"type": "upsampling", "out_channels": 3, "kernel_size": 3, "padding": 1}]},
    ]
    size = {"channels": 3, "height": 8, "width": 6}
    return load_architecture(json.dumps({"format": 1, "name": "net", "input": size, "layers": layers}))


def test_the_network_is_what_the_architecture_declares(architecture: Architecture) -> None:
    network = build(architecture)
    assert isinstance(network, Sequential)
    assert [type(layer).__name__ for layer in network.layers] == ["Conv2d", "ReLU", "Sequential"]
    steps = trace(architecture.network, architecture.input.shape)
    assert network(torch.zeros(2, 3, 8, 6)).shape == (2, *steps[-1].output_shape) == (2, 3, 8, 6)


def test_the_seed_decides_the_weights(architecture: Architecture) -> None:
    first, same, other = (build(architecture, seed).state_dict() for seed in (3, 3, 4))
    assert all(torch.equal(first[name], same[name]) for name in first)
    assert not torch.equal(first["0.weight"], other["0.weight"])
    assert torch.equal(build(architecture).state_dict()["0.weight"], build(architecture, 0).state_dict()["0.weight"])


def test_building_draws_nothing_from_torchs_own_generator(architecture: Architecture) -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    build(architecture)
    assert torch.equal(before, torch.get_rng_state())


def test_a_thousand_layers_are_read_layer_by_layer_only_a_few_times() -> None:
    """Stands for the bound of a second that is measured by hand: the work must not grow with the square."""
    import sys

    def calls(count: int) -> int:
        layers = [{"type": "conv2d", "out_channels": 2, "kernel_size": 1}, {"type": "relu"}] * (count // 2)
        size = {"channels": 3, "height": 2, "width": 2}
        text = json.dumps({"format": 1, "name": "net", "input": size, "layers": layers})
        seen = 0

        def count_calls(frame: object, event: str, argument: object) -> None:
            nonlocal seen
            seen += event == "call"

        sys.setprofile(count_calls)
        try:
            build(load_architecture(text))
        finally:
            sys.setprofile(None)
        return seen

    calls(10)  # what is made once, such as validators
    assert calls(1000) < 12 * calls(100)


class FailingSpec(ReLUSpec):
    type: Literal["failing"]

    def build(self, input_shape, generator):
        raise KeyError("weights")


class NothingSpec(ReLUSpec):
    type: Literal["nothing"]

    def build(self, input_shape, generator):
        return None


def test_a_layer_that_cannot_be_built_is_named():
    with pytest.raises(PluginError, match=r"FailingSpec.build failed \(KeyError: 'weights'\); this is a mistake"):
        FailingSpec(type="failing").build((3, 8, 8), torch.Generator())


def test_a_layer_must_be_built_into_a_module():
    with pytest.raises(PluginError, match=r"NothingSpec\.build must return a layerkit\.Module, not NoneType"):
        NothingSpec(type="nothing").build((3, 8, 8), torch.Generator())
