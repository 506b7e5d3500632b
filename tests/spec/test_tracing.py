from __future__ import annotations

from typing import Literal

import pytest
import torch

from layerkit.builtin.layers.conv2d import Conv2dSpec
from layerkit.builtin.layers.nearest_upsampling import NearestUpsamplingSpec
from layerkit.builtin.layers.relu import ReLUSpec
from layerkit.builtin.layers.repeat import RepeatSpec
from layerkit.builtin.layers.sequential import SequentialSpec
from layerkit.contracts.module import Module
from layerkit.contracts.specs import LayerSpec, Shape
from layerkit.errors import ShapeError
from layerkit.spec.tracing import MAX_ACTIVATIONS, MAX_PARAMETERS, check_affordable, trace, written_layers

RELU = ReLUSpec(type="relu")


def conv(channels: int, kernel_size: int = 1) -> Conv2dSpec:
    return Conv2dSpec(type="conv2d", out_channels=channels, kernel_size=kernel_size)


def sequence(*layers: LayerSpec) -> SequentialSpec:
    return SequentialSpec(type="sequential", layers=layers)


class Careless(LayerSpec):
    """A layer with a mistake of its author in what it says of itself."""

    type: Literal["careless"]
    wrong: str

    def output_shape(self, input_shape: Shape) -> Shape:
        if self.wrong == "shape":
            raise ZeroDivisionError("division by zero")
        return input_shape

    def parameter_count(self, input_shape: Shape) -> int:
        if self.wrong == "parameters":
            raise KeyError("channels")
        return 0

    def build(self, input_shape: Shape, generator: torch.Generator) -> Module:
        raise NotImplementedError


def test_layers_come_in_order_with_their_shapes_and_costs() -> None:
    steps = trace(sequence(conv(4, 3), sequence(RELU, conv(2)), RELU), (3, 8, 6))
    assert [(step.path, step.depth, step.layer.type, step.container) for step in steps] == [
        (("layers", 0), 0, "conv2d", False),
        (("layers", 1), 0, "sequential", True),
        (("layers", 1, "layers", 0), 1, "relu", False),
        (("layers", 1, "layers", 1), 1, "conv2d", False),
        (("layers", 2), 0, "relu", False),
    ]
    assert [step.output_shape for step in steps] == [(4, 6, 4), (2, 6, 4), (4, 6, 4), (2, 6, 4), (2, 6, 4)]
    assert [step.parameters for step in steps] == [4 * 28, 10, 0, 10, 0]
    assert [step.multiply_adds for step in steps] == [4 * 27 * 24, 8 * 24, 0, 8 * 24, 0]
    assert [step.activations for step in steps] == [96, 48, 96, 48, 48]
    for before, after in zip(steps, steps[2:], strict=False):
        if not before.container:
            assert before.output_shape == after.input_shape or after.depth != before.depth


def test_parameters_counted_are_parameters_built() -> None:
    network = sequence(conv(4, 3), sequence(RELU, conv(2)), RELU)
    built = network.build((3, 8, 6), torch.Generator())
    counted = sum(step.parameters for step in trace(network, (3, 8, 6)) if not step.container)
    assert counted == sum(parameter.numel() for parameter, _ in built.param())


def test_a_layer_that_does_not_fit_is_named_by_its_path() -> None:
    with pytest.raises(ShapeError) as caught:
        trace(sequence(RELU, sequence(RELU, conv(2, 9))), (3, 8, 8))
    assert caught.value.path == ("layers", 1, "layers", 1)


@pytest.mark.parametrize(
    ("wrong", "message"), [("shape", "ZeroDivisionError: division by zero"), ("parameters", "KeyError: 'channels'")]
)
def test_a_mistake_in_a_layers_own_arithmetic_is_told_as_such(wrong: str, message: str) -> None:
    layer = Careless(type="careless", wrong=wrong)
    with pytest.raises(ShapeError, match="Careless failed to compute its shape or costs") as caught:
        trace(sequence(RELU, sequence(layer)), (3, 8, 8))
    assert message in str(caught.value)
    assert "this is a mistake in its package, please report it there" in str(caught.value)
    assert caught.value.path == ("layers", 1, "layers", 0)


def test_copies_of_copies_are_counted_before_they_are_walked_through() -> None:
    copies = RepeatSpec(type="repeat", times=1000, layers=(RELU,) * 9)
    with pytest.raises(ShapeError, match="these are 18,002 layers; at most 10,000 are built"):
        trace(sequence(copies, copies), (3, 8, 8))
    assert len(trace(sequence(copies), (3, 8, 8))) == 9001


def test_too_many_parameters_are_refused_where_they_become_too_many() -> None:
    half = conv(2**14)
    steps = trace(sequence(half, RELU, half, half, half, half, half), (2**14, 1, 1))
    assert MAX_PARAMETERS > 2 * (2**28 + 2**14)
    with pytest.raises(
        ShapeError, match=r"up to here the network has 1,073,807,360 parameters.*; use fewer channels"
    ) as caught:
        check_affordable(steps)
    assert caught.value.path == ("layers", 4)


def test_too_many_activations_are_refused_where_they_become_too_many() -> None:
    larger = NearestUpsamplingSpec(type="nearest_upsampling", scale_factor=64)
    steps = trace(sequence(RELU, larger, larger, larger), (4, 8, 8))
    with pytest.raises(
        ShapeError, match=r"up to here the outputs for one sample hold .* numbers, and at most"
    ) as caught:
        check_affordable(steps)
    assert caught.value.path == ("layers", 2)


def test_the_input_counts_too() -> None:
    steps = trace(sequence(conv(1)), (2, MAX_ACTIVATIONS // 2 + 1, 1))
    with pytest.raises(ShapeError, match=r"one picture holds 1,073,741,826 numbers, .*; make it smaller") as caught:
        check_affordable(steps)
    assert caught.value.path == ("input",)


def test_what_is_inside_a_container_is_counted_once() -> None:
    block = RepeatSpec(type="repeat", times=3, layers=(sequence(conv(2**14)),))
    check_affordable(trace(sequence(block), (2**14, 1, 1)))
    check_affordable([])


def test_layers_are_counted_before_anybody_has_checked_them() -> None:
    inner = {"type": "sequential", "layers": [{"type": "relu"}, None, {"layers": 3}]}
    assert written_layers({"layers": [inner, {"x": inner}, [inner]], "training": {"layers": [1]}}) == 3 + 3 * 3 + 1
    assert written_layers(3) == 0


@pytest.mark.parametrize("depth", [1, 12])
def test_layers_deep_inside_others_are_asked_for_their_shape_as_often_as_others(monkeypatch, depth):
    asked = []
    monkeypatch.setattr(ReLUSpec, "output_shape", lambda self, shape: asked.append(self) or shape)
    network = RELU
    for _ in range(depth):
        network = sequence(network)
    trace(sequence(network), (3, 8, 8))
    assert len(asked) == 2  # on the way through the network, and for the step
