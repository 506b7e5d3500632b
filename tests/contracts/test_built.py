"""Constructors are held to the ranges of their specs."""

from __future__ import annotations

import copy
import inspect
import pickle
import sys
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pytest
import torch
from pydantic import Field, model_validator

from layerkit import (
    MSE,
    SGD,
    Adam,
    Bernoulli,
    Channels,
    Conv2d,
    Denoiser,
    Gaussian,
    Huber,
    LossSpec,
    Masked,
    Module,
    Pixelate,
    ReLU,
    Schedule,
    ScheduleSpec,
    Sequential,
    Trainer,
    UserError,
    installed,
)
from layerkit.builtin.layers import AvgPool2d, MaxPool2d, Repeat
from layerkit.builtin.layers.conv2d import Conv2dSpec
from layerkit.builtin.schedules import Cosine, Steps
from layerkit.contracts.built import spec_of
from layerkit.errors import ArgumentError

if TYPE_CHECKING:
    from decimal import Decimal

PARAMETERS = Conv2d(3, 4, 3).param()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Conv2d(3, 0, 3), "Conv2d: out_channels must be a whole number from 1 to 65,536, got 0"),
        (lambda: Conv2d(True, 4, 3), "Conv2d: in_channels must be a whole number from 1 to 65,536, got True"),
        (lambda: Conv2d(3, 4.0, 3), "Conv2d: out_channels must be a whole number from 1 to 65,536, got 4.0"),
        (
            lambda: Conv2d(3, 4, 3, stride=0),
            "Conv2d: stride must be a whole number from 1 to 1024, or a pair of them such as [1, 1], got 0",
        ),
        (
            lambda: Conv2d(3, 4, 3, padding="same"),
            "Conv2d: padding must be a whole number from 0 to 1024, or a pair of them such as [0, 0], got 'same'",
        ),
        (lambda: Conv2d(3, 4, 3, bias=1), "Conv2d: bias must be True or False, got 1"),
        (
            lambda: Conv2d(3, 4, 3, dtype="float32"),
            "Conv2d: dtype must be a torch.dtype of floats, such as torch.float32, got 'fl",
        ),
        (
            lambda: Conv2d(3, 4, 3, dtype=torch.int64),
            "Conv2d: dtype must be a torch.dtype of floats, such as torch.float32, got torch.int64",
        ),
        (lambda: MaxPool2d(2, stride=0), "MaxPool2d: stride must be a whole number from 1 to 1024, or a pair of"),
        (lambda: AvgPool2d((2, 2, 2)), "AvgPool2d: kernel_size must be a whole number from 1 to 1024, or a pair"),
        (lambda: Repeat(ReLU(), times=0), "Repeat: times must be a whole number from 1 to 1,000, got 0"),
        (lambda: Sequential(ReLU), "Sequential: layers must be a layerkit.Module, got the class ReLU"),
        (lambda: Masked("mse"), "Masked: loss must be a layerkit.Loss, got 'mse'"),
        (lambda: Huber(0), "Huber: delta must be a number greater than 0 and at most 1,000, got 0"),
        (lambda: SGD(PARAMETERS, lr=-1), "SGD: lr must be a number from 0 to 1,000,000, got -1"),
        (lambda: SGD(PARAMETERS, lr=float("nan")), "SGD: lr must be a number from 0 to 1,000,000, got nan"),
        (lambda: SGD(PARAMETERS, lr=True), "SGD: lr must be a number from 0 to 1,000,000, got True"),
        (
            lambda: SGD([torch.zeros(2)], lr=1),
            "SGD: parameters must be (parameter, gradient) pairs, as network.param() returns them, got [tens",
        ),
        (
            lambda: Adam(PARAMETERS, betas=(0.9, 1.0)),
            "Adam: betas must be (a number at least 0 and less than 1, a number at least 0 and less than 1), got (",
        ),
        (lambda: Gaussian(np.float64(300)), "Gaussian: sigma must be a number from 0 to 255, or a range of them"),
        (lambda: Bernoulli(1.0), "Bernoulli: probability must be a number from 0 to 0.99, or a range of them"),
        (lambda: Pixelate(torch.tensor(8)), "Pixelate: block must be a whole number from 1 to 64, got a torch.Tensor"),
        (lambda: Cosine(warmup=1), "Cosine: warmup must be a number at least 0 and less than 1, got 1"),
        (lambda: Steps([0.5, 0.25]), "Steps: milestones must be numbers in increasing order, got 0.25 after 0.5"),
        (
            lambda: Steps([0.5, 2.0]),
            "Steps: milestones must be a tuple or list, each item a number greater than 0 and less than 1, got [0.5, 2",
        ),
        (
            lambda: Gaussian([0.25] * 99),
            "lower end first, got [0.25, 0.25, 0.25, 0.25, 0.25, 0.25, 0.25, 0.25, 0.25, 0.25, 0.25, 0.25, ...]",
        ),
    ],
)
def test_what_a_spec_refuses_is_refused_in_python(make, message):
    with pytest.raises(ArgumentError) as caught:
        make()
    assert message in str(caught.value)


def test_what_does_not_come_from_a_spec_is_held_to_its_annotations():
    network = Conv2d(3, 3, 3, padding=1)
    with pytest.raises(ArgumentError, match=r"Trainer: loss must be a layerkit.Loss, got the class MSE"):
        Trainer(network, MSE, SGD(network.param(), lr=1))
    with pytest.raises(
        ArgumentError, match=r"Trainer: network must be a layerkit.Module, got an object of the class MSE"
    ):
        Trainer(MSE(), network, SGD(network.param(), lr=1))
    with pytest.raises(ArgumentError, match=r"Denoiser: network must be a layerkit.Module, got 'table1'"):
        Denoiser("table1", (3, 8, 8))
    with pytest.raises(ArgumentError, match=r"Denoiser: input_shape must be \(a whole number, a whole number, a whole"):
        Denoiser(network, (3, 8))


def test_what_a_spec_builds_is_not_checked_again(monkeypatch):
    spec, generator = Conv2dSpec(type="conv2d", out_channels=4, kernel_size=3), torch.Generator()
    with monkeypatch.context() as patched:
        patched.setattr("layerkit.contracts.built._checked", lambda *_, **__: pytest.fail("checked"))
        spec.build((3, 8, 8), generator)
    with pytest.raises(ArgumentError, match="out_channels"):
        Conv2d(3, 0, 3)


def test_it_is_the_error_of_a_user_and_whichever_python_would_raise():
    assert issubclass(ArgumentError, UserError | ValueError | TypeError)
    for kind in (UserError, ValueError, TypeError):
        with pytest.raises(kind, match="out_channels"):
            Conv2d(3, 0, 3)


def test_a_list_of_layers_is_told_to_be_unpacked():
    with pytest.raises(
        ArgumentError, match=r"Sequential: layers must be a layerkit.Module, got \[.*; write Sequ.*\(\*la"
    ):
        Sequential([ReLU()])


def test_what_python_refuses_itself_it_says_itself():
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'kernel_size'"):
        Conv2d(3, 4)
    with pytest.raises(TypeError, match=r"ReLU.* takes no arguments"):
        ReLU(3)
    with pytest.raises(TypeError, match="unexpected keyword argument 'gian'"):
        Conv2d(3, 4, 3, gian=2)


def test_lists_are_pairs_as_in_json_and_numbers_of_numpy_are_numbers():
    layer = Conv2d(np.int64(3), np.int32(4), [3, 1])
    assert Conv2d(3, 4, np.array([3, 1]).shape * 2).kernel_size == (2, 2)
    assert Conv2d(3, 4, tuple(np.array([3, 1]))).kernel_size == (3, 1)
    assert layer.kernel_size == (3, 1) and type(layer.in_channels) is int
    assert Gaussian([0, 50]).sigma == (0, 50)
    assert type(Gaussian(np.float64(25)).sigma) is float


# All components

WITHOUT_A_FIELD: dict[str, Any] = {
    "channels": 4,
    "in_channels": 4,
    "in_features": 4,
    "num_features": 4,
    "num_channels": 4,
    "parameters": PARAMETERS,
    "loss": MSE(),
}
BEYOND = {"minimum": -1, "exclusiveMinimum": 0, "maximum": 1, "exclusiveMaximum": 0}


def class_of(spec: type) -> type:
    return getattr(sys.modules[spec.__module__], spec.build.__annotations__["return"])


@pytest.mark.parametrize("component", installed().components.values(), ids=lambda component: component.name)
def test_every_component_knows_its_spec(component):
    assert spec_of(class_of(component.spec)) is component.spec


def numbers_beyond(schema: dict[str, Any]) -> list[float]:
    """Return numbers just outside of what a field's schema allows."""
    bounds = schema.get("anyOf", [schema])
    return [member[key] + step for member in bounds for key, step in BEYOND.items() if key in member]


@pytest.mark.parametrize("component", installed().components.values(), ids=lambda component: component.name)
def test_no_constructor_takes_what_its_spec_refuses(component):
    made, parameters = class_of(component.spec), inspect.signature(class_of(component.spec)).parameters
    usual = {name: value for name, value in component.example.items() if name in parameters} | {
        name: value for name, value in WITHOUT_A_FIELD.items() if name in parameters
    }
    layers: list[Any] = [ReLU()] if "layers" in parameters else []
    if layers:
        del usual["layers"]
    if "times" in parameters:
        usual["times"] = 1
    if layers and "channels" in usual:  # which stand before the layers
        layers.insert(0, usual.pop("channels"))
    made(*layers, **usual)
    for name, schema in component.spec.model_json_schema()["properties"].items():
        for value in numbers_beyond(schema) if name in parameters else []:
            with pytest.raises(ArgumentError, match=f"{made.__name__}: {name} must be"):
                made(*layers, **usual | {name: value})


# Strangers


class StrangeSpec(LossSpec):
    """A stranger's loss."""

    type: Literal["strange"] = Field(description="The name.")
    power: float = Field(default=2.0, ge=1, le=4, alias="exponent", description="The power.")
    other: int = Field(ge=1, description="One that the constructor does not have.")

    def build(self) -> Strange:
        return Strange(self.power)


class DemandingSpec(LossSpec):
    """A spec that looks at all its fields before it looks at one."""

    type: Literal["demanding"] = Field(description="The name.")
    power: float = Field(ge=1, description="The power.")
    root: float = Field(ge=1, description="The root.")

    @model_validator(mode="before")
    @classmethod
    def _look(cls, fields: dict[str, float]) -> dict[str, float]:
        assert fields["power"] * fields["root"] > 0
        return fields

    def build(self) -> Demanding:
        return Demanding(self.power)


class Demanding(MSE):
    def __init__(self, power: float) -> None:
        self.power = power


class Strange(MSE):
    def __init__(self, power: float = 2.0, *, of: Channels | None = None, exact: Decimal | None = None, more=3) -> None:
        self.power, self.of, self.exact, self.more = power, of, exact, more


class Stranger(Strange):
    """Has its constructor from Strange, and with it its spec."""


class Strangest(Strange):
    """Has a constructor of its own, in which a name means something else."""

    def __init__(self, power: str) -> None:
        super().__init__(float(power))


class Waves(Schedule):
    def __init__(self, *lengths: Channels) -> None:
        self.lengths = lengths

    def factor(self, progress: float) -> float:
        return 1.0


class WavesSpec(ScheduleSpec):
    """A spec behind its class, with no field for the argument."""

    type: Literal["waves"] = Field(description="The name.")

    def build(self) -> Waves:
        return Waves(1)


def test_a_stranger_s_component_is_held_to_its_spec_and_its_annotations():
    assert spec_of(Strange) is StrangeSpec and spec_of(Waves) is WavesSpec
    with pytest.raises(ArgumentError, match=r"^Strange: power must be a number from 1 to 4, got 5$"):
        Strange(5)
    with pytest.raises(ArgumentError, match=r"^Strange: of must be a whole number from 1 to 65,536 or None, got 0$"):
        Strange(of=0)
    with pytest.raises(ArgumentError, match=r"^Waves: lengths must be a whole number from 1 to 65,536, got -1$"):
        Waves(1, -1)
    assert Strange(exact="anything", more="anything").exact == "anything"
    assert Waves(1, 2).lengths == (1, 2)
    assert spec_of(Demanding) is DemandingSpec and Demanding(2.0).power == 2.0


def test_a_subclass_is_held_to_the_spec_of_the_constructor_that_it_calls():
    with pytest.raises(ArgumentError, match=r"^Stranger: power must be a number from 1 to 4, got 5$"):
        Stranger(5)
    assert Strangest("3").power == 3.0
    with pytest.raises(ArgumentError, match=r"^Strangest: power must be a number from 1 to 4, got 5.0$"):
        Strangest("5")
    with pytest.raises(ArgumentError, match=r"^Strangest: power must be a text, got 5$"):
        Strangest(5)


# In print


@pytest.mark.parametrize(
    ("made", "text"),
    [
        (SGD(PARAMETERS, lr=1), "SGD(lr=1)"),
        (Adam(PARAMETERS, 0.001, betas=(0.5, 0.999)), "Adam(betas=(0.5, 0.999))"),
        (Huber(1.0), "Huber()"),
        (Huber(0.5), "Huber(delta=0.5)"),
        (Masked(Masked(MSE())), "Masked(loss=Masked(loss=MSE()))"),
        (Gaussian([0, 50]), "Gaussian([0, 50])"),
        (Cosine(), "Cosine()"),
        (Steps((0.25, 0.5), 0.5), "Steps((0.25, 0.5), gamma=0.5)"),
        (Waves(3, 4), "Waves(3, 4)"),
        (
            Conv2d(3, 4, kernel_size=3, dtype=torch.float64, device="cpu", generator=torch.Generator()),
            "Conv2d(3, 4, kernel_size=3)",
        ),
    ],
)
def test_what_was_made_prints_the_call(made, text):
    assert repr(made) == str(made) == repr(copy.deepcopy(made)) == text


def test_what_a_spec_builds_prints_the_same_call():
    loss = installed().components["loss", "huber"].spec.model_validate({"type": "huber", "delta": 0.5}).build()
    assert repr(loss) == "Huber(delta=0.5)"


def test_an_argument_that_changes_later_is_printed_as_it_is():
    optimizer = SGD(PARAMETERS, lr=1.0)
    optimizer.lr = 0.25
    assert repr(optimizer) == "SGD(lr=0.25)"
    noise = Gaussian(25.0)
    noise.sigma = 50.0
    assert repr(noise) == "Gaussian(50.0)"


def test_the_outermost_constructor_is_the_one_that_was_called():
    assert repr(Strangest("3")) == "Strangest('3')"


def test_copies_and_signatures_are_as_before():
    layer = Conv2d(3, 4, 3)
    for other in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert torch.equal(other.weight, layer.weight)
    assert [*inspect.signature(Conv2d).parameters][:4] == ["in_channels", "out_channels", "kernel_size", "stride"]
    assert isinstance(layer, Module)
