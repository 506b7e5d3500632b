from __future__ import annotations

import json
from typing import Any, Literal

import pytest
import torch
from pydantic import Field, ValidationError, field_validator

from layerkit.builtin.layers.conv2d import Conv2dSpec
from layerkit.builtin.layers.relu import ReLUSpec
from layerkit.contracts.module import Module
from layerkit.contracts.registered import REGISTERED, AnyLayer
from layerkit.contracts.specs import (
    LayerSpec,
    LossSpec,
    NoiseSpec,
    OptimizerSpec,
    ScheduleSpec,
    Shape,
    Spec,
    chain,
)
from layerkit.errors import ShapeError
from layerkit.registry.catalogue import collect
from layerkit.registry.discovery import Plugin


class BranchSpec(LayerSpec):
    """A stranger's container, with layers in places of its own."""

    type: Literal["branch"] = Field(description="The name of the layer.")
    main: AnyLayer
    by_name: dict[str, AnyLayer] = Field(default_factory=dict)
    deep: list[list[AnyLayer]] = Field(default_factory=list)
    maybe: AnyLayer | None = None
    limit: int | None = 3

    @field_validator("limit")
    @classmethod
    def _fails(cls, value: int | None) -> int | None:
        return 1 // value if value == 0 else value

    def output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def build(self, input_shape: Shape, generator: torch.Generator) -> Module:
        raise NotImplementedError


SPECS = [BranchSpec, ReLUSpec, Conv2dSpec]
CATALOGUE = collect([Plugin("test", "test", "1", "test", hooks={"layerkit_layers": lambda: SPECS})])
RELU = {"type": "relu"}


def read(tree: dict[str, Any]) -> BranchSpec:
    return BranchSpec.model_validate_json(json.dumps(tree), context=CATALOGUE)


@pytest.mark.parametrize("cls", [LayerSpec, LossSpec, OptimizerSpec, NoiseSpec, ScheduleSpec])
def test_each_kind_of_spec_must_say_how_to_build_it(cls: type[Spec]) -> None:
    assert "build" in cls.__abstractmethods__


def test_a_spec_knows_its_name() -> None:
    assert BranchSpec.name() == "branch"


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"by_name": {"a": RELU}},
        {"deep": [[RELU], []]},
        {"maybe": RELU},
        {"maybe": None},
        {"limit": None},
        {"maybe": {"type": "branch", "main": RELU, "limit": None}},
    ],
)
def test_components_may_stand_anywhere_and_are_written_as_they_were_read(more: dict[str, Any]) -> None:
    tree = {"type": "branch", "main": RELU, **more}
    spec = read(tree)
    assert isinstance(spec.main, ReLUSpec)
    written = spec.model_dump(mode="json")
    assert written == {"by_name": {}, "deep": [], "maybe": None, "limit": 3} | tree | {
        key: {"by_name": {}, "deep": [], "maybe": None} | value
        for key, value in tree.items()
        if isinstance(value, dict) and value.get("type") == "branch"
    }
    assert read(written) == spec


@pytest.mark.parametrize(
    ("more", "loc"),
    [
        ({"main": {"type": "rel"}}, ("main", "type")),
        ({"by_name": {"a": {"type": "relu", "x": 1}}}, ("by_name", "a", "x")),
        ({"deep": [[RELU], [{"type": "conv2d", "out_channels": 0, "kernel_size": 1}]]}, ("deep", 1, 0, "out_channels")),
    ],
)
def test_mistakes_inside_keep_their_place(more: dict[str, Any], loc: tuple[str | int, ...]) -> None:
    with pytest.raises(ValidationError) as caught:
        read({"type": "branch", "main": RELU} | more)
    assert caught.value.errors()[0]["loc"] == loc


def test_a_validator_that_fails_is_told_as_a_mistake_of_the_component() -> None:
    inner = {"type": "branch", "main": RELU, "limit": 0}
    with pytest.raises(ValidationError, match=r"BranchSpec failed to check this \(ZeroDivisionError: "):
        read({"type": "branch", "main": inner})


@pytest.mark.parametrize("value", [3, "relu", [RELU], None])
def test_what_is_no_object_is_no_component(value: Any) -> None:
    with pytest.raises(ValidationError, match=r'expected an object such as {"type": "relu"}, got '):
        read({"type": "branch", "main": value})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1.5, "1", True])
def test_nothing_is_converted(value: Any) -> None:
    with pytest.raises(ValidationError):
        read({"type": "branch", "main": RELU, "limit": value})


def test_a_schema_marks_where_components_may_stand() -> None:
    properties = BranchSpec.model_json_schema()["properties"]
    assert properties["main"][REGISTERED] == "layer"
    assert properties["by_name"]["additionalProperties"][REGISTERED] == "layer"


def test_a_chain_gives_each_layer_what_comes_into_it() -> None:
    conv = Conv2dSpec(type="conv2d", out_channels=5, kernel_size=3)
    relu = ReLUSpec(type="relu")
    inner, shape = chain((conv, relu, conv), (3, 9, 8))
    assert [(item.path, item.input_shape) for item in inner] == [
        (("layers", 0), (3, 9, 8)),
        (("layers", 1), (5, 7, 6)),
        (("layers", 2), (5, 7, 6)),
    ]
    assert shape == (5, 5, 4)
    with pytest.raises(ShapeError) as caught:
        chain((relu, conv), (3, 2, 2), "body")
    assert caught.value.path == ("body", 1)
