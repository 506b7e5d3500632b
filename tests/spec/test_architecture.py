from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from layerkit.builtin.layers.relu import ReLUSpec
from layerkit.builtin.layers.sequential import SequentialSpec
from layerkit.spec.architecture import Architecture, Input

RELU = ReLUSpec(type="relu")
INPUT = Input(channels=3, height=8, width=8)


def architecture(**changes: Any) -> Architecture:
    return Architecture(**{"format": 1, "name": "net", "input": INPUT, "layers": (RELU,)} | changes)


def test_it_can_be_made_of_python_objects() -> None:
    made = architecture(layers=[RELU, SequentialSpec(type="sequential", layers=(RELU,))])
    assert made.network == SequentialSpec(type="sequential", layers=made.layers)
    assert made.input.shape == (3, 8, 8)


def test_it_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        architecture().name = "other"


def test_layers_as_plain_data_need_a_catalogue() -> None:
    with pytest.raises(ValidationError, match=r"components inside a spec are read by layerkit.load_architecture"):
        architecture(layers=[{"type": "relu"}])


@pytest.mark.parametrize(
    ("name", "value"), [("format", True), ("format", 1.0), ("format", 2), ("name", ""), ("layers", ())]
)
def test_values_that_are_refused(name: str, value: Any) -> None:
    with pytest.raises(ValidationError):
        architecture(**{name: value})


def test_what_is_absent_is_not_written_and_every_default_is() -> None:
    written = json.loads(architecture().to_json())
    assert list(written) == ["format", "name", "description", "input", "layers"]
    assert written["description"] == ""
    assert next(iter(json.loads(architecture(**{"$schema": "./s.json"}).to_json()))) == "$schema"


@pytest.mark.parametrize("package", ["layerkit==0.1.0", "a-b_c.d==1.0.0rc1+cpu.1_2"])
def test_packages_of_components(package: str) -> None:
    assert architecture(requires={"layer": {"relu": package}}).requires == {"layer": {"relu": package}}


@pytest.mark.parametrize(
    "requires",
    [
        {"layer": {"relu": "a"}},
        {"layer": {"Relu": "a==1"}},
        {"layer": {"relu": "a==1; x"}},
        {"model": {}},
        {"layer": "a==1"},
    ],
)
def test_packages_that_are_none(requires: Any) -> None:
    with pytest.raises(ValidationError):
        architecture(requires=requires)
