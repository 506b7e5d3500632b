"""The JSON Schema against the models, both ways, on specs that are drawn from it and then spoilt."""

from __future__ import annotations

import copy
import json
import os
from functools import cache
from typing import Any, Literal

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import Field, ValidationError

from layerkit.contracts.module import Module
from layerkit.contracts.registered import REGISTERED, AnyLayer
from layerkit.contracts.specs import LayerSpec, Shape, StrictModel
from layerkit.errors import SpecError
from layerkit.registry.catalogue import Catalogue, collect, installed
from layerkit.registry.discovery import Plugin, PluginSettings
from layerkit.spec.architecture import Architecture
from layerkit.spec.constants import expand
from layerkit.spec.schema import architecture_schema

LONGER = int(os.environ.get("LAYERKIT_FUZZ", "1"))


class Curve(StrictModel):
    """A model inside a spec, which contains itself."""

    power: float = Field(gt=0, le=4, description="The exponent.")
    next: Curve | None = None


class StrangeSpec(LayerSpec):
    """A stranger's layer with every form of field."""

    type: Literal["strange"] = Field(description="The name of the layer.")
    curve: Curve | None = Field(default=None, description="A curve.")
    mode: Literal["same", "valid"] = Field(default="same", description="A choice.")
    label: str = Field(default="", max_length=3, description="A text.")
    sizes: list[int] = Field(default_factory=list, max_length=3, description="A list.")
    corner: tuple[int, float] = Field(default=(0, 0.0), description="A tuple.")
    table: dict[str, bool] = Field(default_factory=dict, description="A table.")
    either: int | bool | None = Field(default=None, description="A choice of kinds.")
    by_name: dict[str, AnyLayer] = Field(default_factory=dict, description="Layers by name.")

    def output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def build(self, input_shape: Shape, generator: torch.Generator) -> Module:
        raise NotImplementedError


@cache
def catalogue() -> Catalogue:
    stranger = Plugin("strange", "strange", "1", "strange", hooks={"layerkit_layers": lambda: [StrangeSpec]})
    return collect([*installed(PluginSettings(enabled=False)).plugins[:1], stranger])


@cache
def schema() -> dict[str, Any]:
    return architecture_schema(catalogue())


@cache
def validator() -> Draft202012Validator:
    return Draft202012Validator(schema())


def models_admit(tree: Any) -> bool:
    """Return whether the models admit a tree, without regard to whether its shapes fit."""
    try:
        expanded = expand(tree)
        Architecture.model_validate_json(json.dumps(expanded.tree), context=catalogue())
    except (SpecError, ValidationError):
        return False
    return not expanded.problems


# Specs drawn from the schema


DEEP = {f"#/$defs/layer.{name}" for name in ("repeat", "residual", "sequential", "skip")}


def values(part: dict[str, Any], depth: int) -> st.SearchStrategy[Any]:
    """Return a strategy of what a part of the schema admits, without constants."""
    if "$ref" in part:
        name = part["$ref"].removeprefix("#/$defs/")
        part = schema()["$defs"][name]
        if "discriminator" in part:
            simple = {"layer": ["relu", "sigmoid", "conv2d", "strange"]}.get(name)
            refs = [
                member for member in part["oneOf"] if depth > 0 or not simple or member["$ref"].split(".")[-1] in simple
            ]
            return st.sampled_from(refs).flatmap(lambda ref: values(ref, depth - 1))
        return values(part, depth)
    if "anyOf" in part:
        members = [member for member in part["anyOf"] if member != {"$ref": "#/$defs/constant"}]
        return st.one_of([values(member, depth) for member in members])
    if "const" in part or "enum" in part:
        return st.sampled_from(part.get("enum") or [part["const"]])
    kinds = part["type"] if isinstance(part["type"], list) else [part["type"]]
    return st.one_of([OF_TYPE[kind](part, depth) for kind in kinds])


def numbers(part: dict[str, Any], depth: int) -> st.SearchStrategy[float]:
    low = part.get("minimum", part.get("exclusiveMinimum", -1e6))
    high = part.get("maximum", part.get("exclusiveMaximum", 1e6))
    return st.floats(low, high, exclude_min="exclusiveMinimum" in part, exclude_max="exclusiveMaximum" in part)


def objects(part: dict[str, Any], depth: int) -> st.SearchStrategy[dict[str, Any]]:
    if "properties" not in part:
        keys = st.sampled_from(part.get("propertyNames", {}).get("enum", ["ab", "c_1"]))
        extra = part.get("additionalProperties") or next(iter(part.get("patternProperties", {}).values()))
        if depth < 0:
            return st.just({})
        return st.dictionaries(keys, values(extra, depth - 1), max_size=2)
    required = part.get("required", [])
    fields = {name: st.deferred(lambda field=field: values(field, depth)) for name, field in part["properties"].items()}
    fields.pop("define", None)
    if depth < 0:
        fields = {name: field for name, field in fields.items() if name in required}
    return st.fixed_dictionaries(
        {name: field for name, field in fields.items() if name in required},
        optional={name: field for name, field in fields.items() if name not in required},
    )


def lists(part: dict[str, Any], depth: int) -> st.SearchStrategy[list[Any]]:
    if "prefixItems" in part:
        return st.tuples(*(values(item, depth) for item in part["prefixItems"])).map(list)
    low = part.get("minItems", 0)
    return st.lists(values(part["items"], depth), min_size=low, max_size=max(low, min(part.get("maxItems", 3), 3)))


OF_TYPE = {
    "null": lambda part, depth: st.none(),
    "boolean": lambda part, depth: st.booleans(),
    "integer": lambda part, depth: st.integers(part.get("minimum", -100), part.get("maximum", 100)),
    "number": numbers,
    "string": lambda part, depth: (
        st.from_regex(part["pattern"], fullmatch=True).filter(lambda text: len(text) < 200)
        if "pattern" in part
        else st.text("abc", min_size=part.get("minLength", 0), max_size=min(part.get("maxLength", 3), 3))
    ),
    "array": lists,
    "object": objects,
}

specs = st.deferred(lambda: values({k: v for k, v in schema().items() if k not in ("$schema", "$defs")}, 2))

NUMBERS = [0, 1, -1, 2, 1.5, 10**9]
STRANGE_VALUES = [
    None,
    True,
    *NUMBERS,
    "",
    "a",
    "abcd",
    "same",
    [],
    [1],
    [1, 2],
    [1, 2, 3],
    ["a"],
    {},
    {"type": "relu"},
]


def places_in(tree: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the paths of all values inside a tree."""
    members = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    return [place for key, value in members for place in [(*path, key), *places_in(value, (*path, key))]]


@st.composite
def spoilt(draw: Any) -> Any:
    """A spec with one thing replaced, removed or added."""
    tree = copy.deepcopy(draw(specs))
    *around, key = draw(st.sampled_from(places_in(tree)))
    here = tree
    for step in around:
        here = here[step]
    action = draw(st.sampled_from(["replace", "replace", "remove", "add"]))
    if action == "remove":
        del here[key]
    elif action == "add" and isinstance(here, dict):
        here[draw(st.sampled_from(["type", "padding", "layers", "x", "requires", "seed"]))] = draw(
            st.sampled_from(STRANGE_VALUES)
        )
    else:
        here[key] = draw(st.sampled_from(STRANGE_VALUES))
    return tree


# What a JSON Schema does not say, and the specs' own validators do.
def has_own_rules(tree: Any) -> bool:
    """Return whether a tree has a component whose spec relates its fields to others, or counts copies."""
    if isinstance(tree, dict):
        ranges = "bernoulli", "gaussian", "impulse", "poisson", "text"  # with the lower end first
        related = tree.get("type") in ("repeat", "steps", *ranges) or "padding" in tree
        return related or any(map(has_own_rules, tree.values()))
    return isinstance(tree, list) and any(map(has_own_rules, tree))


def test_it_is_a_schema_of_its_dialect() -> None:
    Draft202012Validator.check_schema(schema())
    assert schema()["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert REGISTERED not in json.dumps(schema())
    json.dumps(schema(), allow_nan=False)


def test_every_reference_leads_somewhere() -> None:
    references = set()

    def walk(part: Any) -> None:
        if isinstance(part, dict):
            references.update([part["$ref"]] if "$ref" in part else [])
            list(map(walk, part.values()))
        elif isinstance(part, list):
            list(map(walk, part))

    walk(schema())
    assert {reference.removeprefix("#/$defs/") for reference in references} == set(schema()["$defs"]) - {"x"}


@given(specs)
@settings(max_examples=150 * LONGER, deadline=None)
def test_what_the_schema_gives_the_models_admit(tree: Any) -> None:
    assert validator().is_valid(tree), next(validator().iter_errors(tree))
    if not models_admit(tree):
        assert has_own_rules(tree)


@given(spoilt())
@settings(max_examples=400 * LONGER, deadline=None)
def test_they_agree_on_what_is_spoilt(tree: Any) -> None:
    valid, admitted = validator().is_valid(tree), models_admit(tree)
    if valid and not admitted:
        assert has_own_rules(tree)
    else:
        assert valid == admitted


@given(specs)
@settings(max_examples=100 * LONGER, deadline=None)
def test_what_the_models_write_the_schema_admits(tree: Any) -> None:
    if models_admit(tree):
        written = Architecture.model_validate_json(json.dumps(tree), context=catalogue()).to_json()
        assert validator().is_valid(json.loads(written))


# Each difference, on purpose

RELU: dict[str, Any] = {"type": "relu"}


def net(*layers: Any, **more: Any) -> dict[str, Any]:
    size = {"channels": 3, "height": 8, "width": 8}
    return {"format": 1, "name": "n", "input": size, "layers": [RELU, *layers], **more}


def conv(**fields: Any) -> dict[str, Any]:
    return {"type": "conv2d", "out_channels": 4, "kernel_size": 3, **fields}


@pytest.mark.parametrize(
    "tree",
    [
        net(),
        net(conv(), {"type": "sequential", "layers": [conv(kernel_size=[3, 5])]}),
        net(conv(kernel_size="$w"), {"type": "strange", "corner": ["$w", 1]}, define={"w": 3}),
        net(conv(out_channels="$w", kernel_size=["$w", 3], bias="$b"), define={"w": 3, "b": False}),
        net(
            {"type": "strange", "mode": "$m", "curve": {"power": "$p"}, "sizes": ["$s"]},
            define={"m": "same", "p": 1, "s": 2},
        ),
        net({"type": "strange", "curve": {"power": 1, "next": {"power": 2.5}}, "by_name": {"a": RELU}}),
        net({"type": "strange", "corner": [1, 2], "table": {"a": True}}),
        net({"type": "strange", "table": {"a": "$on"}}, define={"on": True}),
        net(requires={"layer": {"relu": "layerkit==0.1.0"}}),
        net(training=None, requires=None, **{"$schema": None}),
    ],
)
def test_both_admit(tree: Any) -> None:
    assert validator().is_valid(tree), next(validator().iter_errors(tree))
    assert models_admit(tree)


@pytest.mark.parametrize(
    "tree",
    [
        3,
        net(conv(out_channels=0)),
        net(conv(out_channels="4")),
        net(conv(out_channels=True)),
        net(conv(out_channels=4.5)),
        net(conv(out_channels="w"), define={"w": 3}),
        net(conv(out_channels="$w*2"), define={"w": 3}),
        net(conv(kernel_size=[3])),
        net(conv(bias=1)),
        net({"type": "con2d"}),
        net({"out_channels": 3}),
        net({"type": "$t"}, define={"t": "relu"}),
        net({"type": "mse"}),
        net(RELU | {"slope": 1}),
        net({"type": "strange", "curve": {"power": 0}}),
        net({"type": "strange", "curve": {"power": 1, "next": {"power": 9}}}),
        net({"type": "strange", "by_name": {"a": 3}}),
        net({"type": "strange", "label": "abcd"}),
        net(define={"a b": 3}),
        net(define={"a": [3]}),
        net(define={"a": "$b"}),
        net(schema_="x"),
        net(requires={"layers": {}}),
        net(requires={"layer": {"A b": "x==1"}}),
        net(requires={"layer": {"relu": "x; rm"}}),
        net(format=2),
        net(format=True),
    ],
)
def test_both_refuse(tree: Any) -> None:
    assert not validator().is_valid(tree)
    assert not models_admit(tree)


TRAINING = {"loss": {"type": "mse"}, "optimizer": {"type": "sgd", "lr": 1.0}}


@pytest.mark.parametrize(
    "tree",
    [
        net(conv(out_channels=4.0)),  # to JSON Schema a whole number
        net(format=1.0),
        net(conv(out_channels="$w")),  # a constant that is not defined
        net(conv(out_channels="$w"), define={"w": "wide"}),  # a constant of another kind
        net(define={"w": 3}),  # a constant that is not used
        net({"type": "strange", "label": "$$"}),  # a text that looks like a constant
        net(training={**TRAINING, "noise": {"type": "text", "coverage": [0.5, 0.1]}}),  # the lower end comes first
    ],
)
def test_only_the_models_refuse(tree: Any) -> None:
    assert validator().is_valid(tree)
    assert not models_admit(tree)


# What editors show


@pytest.mark.parametrize("component", catalogue().components.values(), ids=lambda component: component.name)
def test_every_component_has_an_entry_with_what_an_editor_shows(component: Any) -> None:
    entry = schema()["$defs"][f"{component.kind}.{component.name}"]
    assert entry["title"] == component.name
    assert entry["description"]
    assert entry["properties"]["type"]["const"] == component.name
    assert "type" in entry["required"]
    assert all(field.get("description") for field in entry["properties"].values())
    for name, value in component.spec.example.items():
        assert value in entry["properties"][name]["examples"]
    kind = schema()["$defs"][component.kind]
    assert {"$ref": f"#/$defs/{component.kind}.{component.name}"} in kind["oneOf"]
    assert component.name in kind["properties"]["type"]["enum"]
    assert component.example in [snippet["body"] for snippet in kind["defaultSnippets"]]
    assert kind["discriminator"] == {"propertyName": "type"}


def test_the_examples_are_valid() -> None:
    entries = schema()["$defs"]
    for component in catalogue().components.values():
        part = {"$ref": f"#/$defs/{component.kind}", "$defs": entries}
        if component.name != "strange":
            assert Draft202012Validator(part).is_valid(component.example), component.name
