"""The check that a component gives on another device what it gives on the processor, tried on ``meta``."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from layerkit.contracts import LayerSpec, Module, Shape
from layerkit.testing import run
from layerkit.testing.battery import check_named, checks_for

META = torch.device("meta")
NAME = "same_on_the_device"


def test_it_is_run_only_where_a_device_is_given():
    assert NAME not in [check.name for check in checks_for("layer")]
    assert [check.name for check in checks_for("layer", META)][-1] == NAME
    assert check_named(NAME).statement.startswith("On the device of its inputs it gives what it gives on the processor")
    assert not run("relu", only="input_gradient", profile="quick", device=META).failures


def test_components_follow_the_device_of_their_inputs():
    names = (
        "conv2d",
        "upsampling",
        "max_pool2d",
        "dropout",
        "batch_norm2d",
        "dct",
        "mse",
        "masked",
        "adam",
        "gaussian",
    )
    report = run(*names, only=NAME, profile="quick", device=META)
    outcomes = {result.component: result.outcome for result in report.results}
    assert outcomes.pop("masked") == "not applicable"  # it looks for NaN, and meta holds no values
    assert set(outcomes.values()) == {"passed"}


class Halfway(Module):
    """Adds a constant that lies on the processor, whatever device the input is on."""

    def forward(self, x: Tensor) -> Tensor:
        return x.cpu() if x.device.type == "cpu" else torch.zeros(x.shape, dtype=x.dtype, device="cpu")

    def backward(self, grad_output: Tensor) -> Tensor:
        return grad_output.clone()


class HalfwaySpec(LayerSpec):
    """Gives its output on the processor."""

    type: Literal["halfway"]

    def output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def build(self, input_shape: Shape, generator: torch.Generator) -> Halfway:
        return Halfway()


def test_a_layer_that_leaves_the_device_is_caught():
    (result,) = run(HalfwaySpec, only=NAME, profile="quick", device=META).results
    assert result.failure is not None
    assert "on meta the output is on cpu" in result.failure.message
