from __future__ import annotations

from typing import Any

import pytest

from layerkit.errors import SpecError
from layerkit.spec.constants import expand


def tree(define: Any, *values: Any) -> dict[str, Any]:
    return {"define": define, "name": "$name", "layers": [{"type": "a", "value": value} for value in values]}


def test_a_constant_stands_for_its_value() -> None:
    define = {"width": 44, "rate": 0.5, "mode": "same", "on": True}
    values = ("$width", ["$rate", "$width"], {"a": {"b": "$mode"}}, "$on")
    expanded = expand(tree(define, *values))
    assert [layer["value"] for layer in expanded.tree["layers"]] == [44, [0.5, 44], {"a": {"b": "same"}}, True]
    assert "define" not in expanded.tree
    assert expanded.tree["name"] == "$name"
    assert expanded.problems == ()
    assert expanded.used["layers", 1, "value", 0] == "rate"


def test_a_constant_serves_the_training_too() -> None:
    spec = {"define": {"rate": 1}, "training": {"optimizer": {"lr": "$rate"}}}
    assert expand(spec).tree == {"training": {"optimizer": {"lr": 1}}}


def test_what_is_given_is_not_changed() -> None:
    spec = tree({"w": 1}, "$w")
    expand(spec)
    assert spec == tree({"w": 1}, "$w")


@pytest.mark.parametrize("spec", [3, [], "$x", {"name": "n"}, {"layers": [{"type": "relu"}]}])
def test_a_tree_without_constants_stays_as_it_is(spec: Any) -> None:
    assert expand(spec) == (spec, {}, ())


@pytest.mark.parametrize(
    ("spec", "path", "message"),
    [
        (tree({"width": 4}, "$widht"), ("layers", 0, "value"), 'unknown constant "$widht"; did you mean "$width"?'),
        (tree({}, "$w"), ("layers", 0, "value"), 'unknown constant "$w"; add it to "define"'),
        (
            tree({"w": 4}, "$w * 2"),
            ("layers", 0, "value"),
            '"$w * 2" is not the name of a constant, and there are no expressions; write the value',
        ),
        (
            tree({"w": 4}, "$"),
            ("layers", 0, "value"),
            '"$" is not the name of a constant, and there are no expressions',
        ),
        (
            {"define": {"a": "relu"}, "layers": [{"type": "$a"}]},
            ("layers", 0, "type"),
            "a constant cannot be used as a type; write the name of the component",
        ),
        (tree({"w": 4, "v": 5}, "$w"), ("define", "v"), 'nothing uses "$v"; use it or remove it'),
        ({"define": {"w": 4}, "layers": {"$w": 1}}, ("define", "w"), 'nothing uses "$w"'),
    ],
)
def test_a_wrong_use_is_told_with_its_place(spec: Any, path: tuple[str | int, ...], message: str) -> None:
    (problem,) = expand(spec).problems
    assert problem.path == path
    assert problem.message.startswith(message)


def test_a_wrong_use_says_in_which_component_it_is() -> None:
    assert [problem.type for problem in expand(tree({}, "$w")).problems] == ["a"]


def test_a_misspelt_use_is_not_told_as_an_unused_constant_besides() -> None:
    assert len(expand(tree({"width": 4}, "$widht")).problems) == 1


@pytest.mark.parametrize(
    ("define", "message"),
    [
        ([], r'define: expected an object such as {"width": 44}, got \[\]'),
        (None, "define: expected an object"),
        ({"a b": 1}, r'define\["a b"\]: the name of a constant has letters, digits and _ only'),
        ({"1a": 1}, "the name of a constant"),
        ({"": 1}, "the name of a constant"),
        ({"a": None}, "define.a: expected a number, a text, true or false, got null"),
        ({"a": [1]}, r"expected a number, a text, true or false, got \[1\]"),
        ({"a": {"b": 1}}, "expected a number, a text, true or false"),
        ({"a": "$b", "b": 1}, r'expected a number, a text, true or false, got "\$b"'),
    ],
)
def test_definitions_that_are_wrong(define: Any, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        expand(tree(define))


def test_many_wrong_definitions_are_counted() -> None:
    with pytest.raises(SpecError, match="and 30 more mistakes"):
        expand(tree({f"a{i}": None for i in range(50)}))


def test_what_constants_stand_for_is_bounded_before_it_is_copied() -> None:
    text = "x" * 99_998  # and two quotes
    expanded = expand(tree({"a": text}, *["$a"] * 10))
    assert all(layer["value"] is text for layer in expanded.tree["layers"])
    for values in (["$a"] * 11, [["$a"]] * 11, [*["$a"] * 10, "$b"]):
        with pytest.raises(SpecError, match=r"the values of constants have more than 1,000,000 characters") as caught:
            expand(tree({"a": text, "b": 1}, *values))
        assert caught.value.problems[0].path[:3] == ("layers", 10, "value")
