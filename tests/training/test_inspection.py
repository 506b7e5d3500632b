"""Layers that lie are named, wherever they stand, and watching them changes nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Literal

import pytest
import torch
from torch import Tensor

from layerkit.contracts.loss import Loss
from layerkit.contracts.module import Module
from layerkit.contracts.specs import LayerSpec, LossSpec, Shape
from layerkit.errors import BrokenLayerError
from layerkit.registry.catalogue import Catalogue, Component, installed
from layerkit.spec.architecture import build
from layerkit.spec.loading import load_architecture
from layerkit.training.dry_run import dry_run
from layerkit.training.inspection import Inspector


class Scale(Module):
    """y = weight * x, unless ``lie`` says otherwise."""

    def __init__(self, lie: str) -> None:
        super().__init__()
        self.lie = lie
        self.add_parameter("weight", torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        lies: dict[str, Callable[[], object]] = {
            "shape": lambda: x[:, :, ::2, ::2].clone(),
            "batch": lambda: x[:1].clone(),
            "dtype": lambda: x.double(),
            "not a number": lambda: x * torch.nan,
            "input": lambda: x.add_(1),
            "input behind torch's back": lambda: torch.from_numpy(_raised(x.numpy())),
            "nothing": lambda: None,
            "fails": lambda: x[10**6],
        }
        self.save(x)
        return lies.get(self.lie, lambda: self.weight * x)()

    def backward(self, grad_output: Tensor) -> Tensor:
        (x,) = self.saved()
        if self.lie == "no gradient":
            return self.weight * grad_output
        if self.lie == "another gradient":
            object.__setattr__(self, "weight_grad", (x * grad_output).sum()[None])
            return self.weight * grad_output
        self.weight_grad.add_(torch.nan if self.lie == "gradient is no number" else (x * grad_output).sum())
        lies: dict[str, Callable[[], object]] = {
            "input gradient shape": lambda: grad_output[:, :, ::2],
            "input gradient dtype": lambda: grad_output.double(),
            "no input gradient": lambda: None,
            "input gradient is no number": lambda: grad_output / 0,
            "gradient mutated": lambda: grad_output.mul_(2),
            "backward fails": lambda: {}["key"],
        }
        return lies.get(self.lie, lambda: self.weight * grad_output)()

    def param(self) -> list[tuple[Tensor, Tensor]]:
        pairs = super().param()
        return [(weight, torch.zeros(2)) for weight, _ in pairs] if self.lie == "gradient of another size" else pairs


def _raised(values):
    values += 1
    return values.copy()


class ScaleSpec(LayerSpec):
    """y = weight * x."""

    type: Literal["scale"]
    lie: str = ""

    def output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def parameter_count(self, input_shape: Shape) -> int:
        return 1

    def build(self, input_shape: Shape, generator: torch.Generator) -> Module:
        return Scale(self.lie)


class Distance(Loss):
    def __init__(self, lie: str) -> None:
        self.lie = lie

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        self.save(prediction)
        return prediction if self.lie == "many numbers" else prediction.sum()

    def backward(self) -> Tensor:
        (prediction,) = self.saved()
        return prediction.sum() if self.lie == "gradient" else torch.ones_like(prediction)


class DistanceSpec(LossSpec):
    """The sum."""

    type: Literal["distance"]
    lie: str = ""

    def build(self) -> Loss:
        return Distance(self.lie)


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    ours = {
        ("layer", "scale"): Component("layer", "scale", ScaleSpec, "layerkit-foo", "1.0"),
        ("loss", "distance"): Component("loss", "distance", DistanceSpec, "layerkit-foo", "1.0"),
    }
    return Catalogue({**installed().components, **ours}, ())


@pytest.mark.parametrize("unknown", [0.5, 1.0])
def test_unknown_targets_are_nobodys_fault(tiny, unknown):
    architecture = load_architecture(json.dumps(tiny.tree(loss={"type": "masked", "loss": {"type": "mse"}})))
    network = build(architecture)
    inspector = Inspector(network, architecture.training.loss.build(), architecture, installed())
    target = torch.rand(2, 3, 8, 8)
    target[torch.rand(target.shape) < unknown] = torch.nan
    inspector.inspect(torch.rand(2, 3, 8, 8), target)


@pytest.fixture
def inspect(tiny, catalogue) -> Callable[..., None]:
    """Return a function that inspects a step of a network with the layer inside others."""

    def inspect(lie: str = "", loss_lie: str | None = None, value: float = 0.5) -> None:
        tree = tiny.tree()
        tree["layers"][1]["layers"].append({"type": "scale", "lie": lie})
        if loss_lie is not None:
            tree["training"]["loss"] = {"type": "distance", "lie": loss_lie}
        architecture = load_architecture(json.dumps(tree), catalogue=catalogue)
        network = build(architecture)
        inspector = Inspector(network, architecture.training.loss.build(), architecture, catalogue)
        inspector.inspect(torch.full((2, 3, 8, 8), value), torch.zeros(2, 3, 8, 8))

    return inspect


LIES = {
    "shape": "forward returned (2, 2, 4, 4), its spec promised (2, 2, 8, 8)",
    "batch": "forward returned (1, 2, 8, 8), its spec promised (2, 2, 8, 8)",
    "dtype": "forward returned torch.float64 for an input of torch.float32",
    "not a number": "forward returned numbers that are not finite, for inputs of ",
    "input": "forward changed its input; it must write into tensors of its own",
    "input behind torch's back": "forward changed its input; it must write into tensors of its own",
    "nothing": "forward failed: AttributeError: 'NoneType' object has no attribute 'shape'",
    "fails": "forward failed: IndexError: ",
    "no gradient": "backward added nothing to the gradient of weight",
    "another gradient": "backward put another tensor in the place of the gradient of weight; add into it",
    "gradient of another size": "param gave a gradient (2,) torch.float32 for a parameter (1,) torch.float32",
    "gradient is no number": "backward made a gradient of weight that is not finite",
    "input gradient shape": "backward returned (2, 2, 4, 8) torch.float32, expected the gradient of its input, (2",
    "input gradient dtype": "backward returned (2, 2, 8, 8) torch.float64, expected the gradient of its input",
    "no input gradient": "backward returned NoneType, expected the gradient of its input",
    "input gradient is no number": "backward returned numbers that are not finite",
    "gradient mutated": "backward changed the gradient it was given; it must write into tensors of its own",
    "backward fails": "backward failed: KeyError: 'key'",
}


@pytest.mark.parametrize(("lie", "sentence"), LIES.items())
def test_a_layer_that_lies_is_named(inspect, lie, sentence):
    with pytest.raises(BrokenLayerError) as error:
        inspect(lie)
    where = "layers[1].layers[3] (scale, from layerkit-foo 1.0): "
    assert str(error.value).startswith(where + sentence)


@pytest.mark.parametrize(
    ("lie", "sentence"),
    [
        ("many numbers", r"forward returned \(2, 3, 8, 8\) torch.float32, expected one number"),
        ("gradient", r"backward returned \(\) torch.float32, expected \(2, 3, 8, 8\) torch.float32"),
    ],
)
def test_a_loss_that_lies_is_named(inspect, lie, sentence):
    with pytest.raises(BrokenLayerError, match=rf"the loss \(distance, from layerkit-foo 1.0\): {sentence}"):
        inspect(loss_lie=lie)


def test_an_honest_network_passes(inspect):
    inspect()
    inspect(loss_lie="")


@pytest.mark.parametrize("value", [torch.inf, torch.nan, 3e38])
def test_numbers_that_were_huge_before_are_nobodys_fault(inspect, value):
    inspect(value=value)


def test_an_inspection_leaves_no_trace(tiny):
    architecture = load_architecture(json.dumps(tiny.tree()))
    network = build(architecture)
    inspector = Inspector(network, architecture.training.loss.build(), architecture, installed())
    for _, gradient in network.param():
        gradient.fill_(7)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    torch.manual_seed(0)
    inspector.inspect(torch.rand(2, 3, 8, 8), torch.rand(2, 3, 8, 8))
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert all((gradient == 7).all() for _, gradient in network.param())
    assert not any({"forward", "backward"} & vars(module).keys() for _, module in network.modules())


def test_the_global_generator_is_left_alone():
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    with dry_run(Scale("")):
        torch.rand(5)
    assert torch.equal(torch.rand(3), expected)


def test_the_first_step_and_some_others_are_inspected(tiny, monkeypatch):
    architecture = load_architecture(json.dumps(tiny.tree()))
    inspector = Inspector(build(architecture), architecture.training.loss.build(), architecture, installed())
    monkeypatch.setattr("layerkit.training.inspection.STEPS_BETWEEN", 3)
    seen = []
    monkeypatch.setattr(inspector, "inspect", lambda noisy, target: seen.append(len(noisy)))
    for _ in range(7):
        inspector.before_step(torch.zeros(4, 3, 8, 8), torch.zeros(4, 3, 8, 8))
    assert seen == [2, 2, 2]


@pytest.mark.parametrize("first", [True, False])
def test_a_lie_in_training_ends_it(tmp_path, tiny, catalogue, first):
    from layerkit.training.loop import StepDone
    from layerkit.training.run import Run, Settings
    from layerkit.training.session import Session

    tree = tiny.tree()
    tree["layers"].append({"type": "scale", "lie": "fails" if first else ""})
    architecture = load_architecture(json.dumps(tree), catalogue=catalogue)
    sentence = re.escape("layers[3] (scale, from layerkit-foo 1.0): forward failed: IndexError")
    with Run.start(tmp_path / "run", architecture, Settings(data=str(tiny.data))) as run:
        session = Session.open(run, catalogue)
        done = 0
        with pytest.raises(BrokenLayerError, match=sentence):
            for event in session.events():
                done += isinstance(event, StepDone)
                if done == 5:
                    session.trainer.network[3].lie = "fails"
    assert done == (0 if first else 5)


def test_a_spec_that_builds_something_else():
    from layerkit.errors import PluginError

    class WrongSpec(ScaleSpec):
        def build(self, input_shape: Shape, generator: torch.Generator) -> Module:
            return torch.zeros(1)

    with pytest.raises(PluginError, match=r"WrongSpec\.build must return a layerkit\.Module, not Tensor"):
        WrongSpec(type="scale").build((1,), torch.Generator())
