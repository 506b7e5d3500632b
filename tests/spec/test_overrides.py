from __future__ import annotations

from typing import Any

import pytest

from layerkit.errors import SpecError
from layerkit.spec.overrides import apply_overrides, keys_of, overridden_at, parse_override


@pytest.mark.parametrize(
    ("assignment", "path", "value"),
    [
        ("training.optimizer.lr=0.5", "training.optimizer.lr", 0.5),
        ("layers[3].kernel_size=[3, 5]", "layers[3].kernel_size", [3, 5]),
        ("name=plain text", "name", "plain text"),
        ("name=a=b", "name", "a=b"),
        ("name=", "name", ""),
        ('name="3"', "name", "3"),
        ("layers[0].bias=false", "layers[0].bias", False),
        ('training.loss={"type": "mse"}', "training.loss", {"type": "mse"}),
    ],
)
def test_the_value_is_json_or_else_a_text(assignment: str, path: str, value: Any) -> None:
    assert parse_override(assignment) == (path, value)


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("lr", '--set: expected path=value such as training.epochs=2, got "lr"'),
        ("=3", "expected path=value"),
        ("a..b=3", "expected path=value"),
        ("layers[-1].bias=true", "expected path=value"),
        ("layers[1=3", "expected path=value"),
        ("a=NaN", "--set a:1:1: NaN is not a number"),
        ("a=1e999", "1e999 is too large"),
        ("a={1}", "not JSON"),
        ("a=[1,]", "not JSON: .*; remove the comma before it"),
        ('a="x', "not JSON"),
        ('a={"b": 1, "b": 2}', "stands twice"),
    ],
)
def test_what_is_no_override(assignment: str, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        parse_override(assignment)


def test_a_path_in_keys() -> None:
    assert keys_of("layers[3].layers[0].kernel_size") == ("layers", 3, "layers", 0, "kernel_size")


TREE = {"name": "n", "layers": [{"type": "relu"}], "training": {"epochs": 1}}


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("name", "m", TREE | {"name": "m"}),
        ("layers[0].type", "sigmoid", TREE | {"layers": [{"type": "sigmoid"}]}),
        ("layers[0]", {"type": "a"}, TREE | {"layers": [{"type": "a"}]}),
        ("training.seed", 3, TREE | {"training": {"epochs": 1, "seed": 3}}),
        ("training.epochs", (1, 2), TREE | {"training": {"epochs": [1, 2]}}),
    ],
)
def test_values_are_replaced_in_a_copy(path: str, value: Any, expected: Any) -> None:
    before = repr(TREE)
    assert apply_overrides(TREE, {path: value}) == expected
    assert repr(TREE) == before


@pytest.mark.parametrize(
    "path", ["layers[1]", "layers.x", "layers[0].a.b", "name.x", "name[0]", "training[3]", "missing.lr", "", "."]
)
def test_a_path_that_leads_nowhere(path: str) -> None:
    with pytest.raises(SpecError, match="there is nothing to replace at this path; the objects and lists"):
        apply_overrides(TREE, {path: 1})


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (float("nan"), "--set name: NaN is not a number"),
        (object(), "--set name: expected a value that JSON can write, got"),
    ],
)
def test_a_value_that_no_file_could_have(value: Any, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        apply_overrides(TREE, {"name": value})


def test_overrides_cannot_make_a_spec_deeper_than_a_file_may_be() -> None:
    deep: Any = 0
    for _ in range(30):
        deep = [deep]
    with pytest.raises(SpecError, match=r"the spec with its overrides.*more than 32 levels"):
        apply_overrides({"a": {"b": {"c": 0}}}, {"a.b.c": deep})


def test_where_a_value_came_from() -> None:
    overrides = {"training.optimizer": {"type": "sgd"}, "training.optimizer.lr": "0.5", "layers[0].bias": True}
    assert overridden_at(("training", "optimizer", "lr"), overrides) == '--set training.optimizer.lr="0.5"'
    assert overridden_at(("training", "optimizer", "type"), overrides) == '--set training.optimizer={"type": "sgd"}'
    assert overridden_at(("layers", 0, "bias"), overrides) == "--set layers[0].bias=true"
    assert overridden_at(("layers", 1, "bias"), overrides) is None
