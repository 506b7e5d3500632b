from __future__ import annotations

from enum import Enum
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field, ValidationError, field_validator

from layerkit.contracts.fields import IntegerOrPair
from layerkit.contracts.specs import StrictModel
from layerkit.errors import Problem
from layerkit.spec.diagnosis import MAX_PROBLEMS, at_most_twenty, kind_around, problems_of


class Colour(Enum):
    RED = "red"


class Part(StrictModel):
    size: int


class Numbers(StrictModel):
    low: Annotated[float, Field(gt=0, lt=1)] = 0.5


class Words(StrictModel):
    word: Annotated[str, Field(min_length=2, max_length=4)] = "ab"


class Thing(StrictModel):
    """A model with a field of every kind that specs have."""

    whole: Annotated[int, Field(ge=1, le=8)] = 1
    pair: Annotated[int | tuple[int, int], IntegerOrPair(1, 9)] = 1
    number: Annotated[float, Field(gt=0, lt=1)] = 0.5
    text: Annotated[str, Field(min_length=2, max_length=4)] = "ab"
    flag: bool = True
    mode: Literal["same", "valid"] = "same"
    items: Annotated[tuple[int, ...], Field(min_length=1, max_length=2)] = (1,)
    part: Part | None = None
    either: Numbers | Words | None = None
    other: Part | Numbers | None = None
    even: int = 0
    colour: Colour = Colour.RED

    @field_validator("even")
    @classmethod
    def _check_even(cls, value: int) -> int:
        if value % 2:
            raise ValueError("expected an even number")
        return value


def diagnose(tree: Any, **changes: Any) -> tuple[Problem, ...]:
    import json

    with pytest.raises(ValidationError) as caught:
        Thing.model_validate_json(json.dumps(tree))
    return problems_of(caught.value, tree, lambda path: Thing.model_fields, **changes)


@pytest.mark.parametrize(
    ("tree", "path", "message"),
    [
        ({"whole": 0}, ("whole",), "expected at least 1, got 0"),
        ({"whole": 9}, ("whole",), "expected at most 8, got 9"),
        ({"whole": 1.0}, ("whole",), "expected a whole number, got 1.0"),
        ({"whole": 1.5}, ("whole",), "expected a whole number, got 1.5"),
        ({"whole": True}, ("whole",), "expected a whole number, got true"),
        ({"whole": "3"}, ("whole",), 'expected a whole number, got "3"; write 3 without quotes'),
        ({"whole": "nan"}, ("whole",), 'expected a whole number, got "nan"'),
        ({"whole": None}, ("whole",), "expected a whole number, got null"),
        ({"number": "1e-3"}, ("number",), 'expected a number, got "1e-3"; write 1e-3 without quotes'),
        ({"number": float("nan")}, ("number",), "expected a finite number, got NaN"),
        ({"number": 0}, ("number",), "expected a number greater than 0.0, got 0"),
        ({"number": 1}, ("number",), "expected a number less than 1.0, got 1"),
        (
            {"pair": "3"},
            ("pair",),
            'expected a whole number from 1 to 9, or a pair of them such as [1, 1], got "3"; write 3 without quotes',
        ),
        ({"text": 3}, ("text",), "expected a text in quotes, got 3"),
        ({"text": "a"}, ("text",), 'expected at least 2 characters, got "a"'),
        ({"text": "abcde"}, ("text",), 'expected at most 4 characters, got "abcde"'),
        ({"flag": 1}, ("flag",), "expected true or false, got 1"),
        ({"mode": "full"}, ("mode",), "expected 'same' or 'valid', got \"full\""),
        ({"items": 3}, ("items",), "expected a list, got 3"),
        ({"items": []}, ("items",), "expected at least 1 item, got []"),
        ({"items": [1, 2, 3]}, ("items",), "expected at most 2 items, got [1, 2, 3]"),
        ({"items": [1, "a"]}, ("items", 1), 'expected a whole number, got "a"'),
        ({"part": 3}, ("part",), "expected an object {...}, got 3"),
        ({"part": {}}, ("part", "size"), "missing; add it"),
        ({"even": 3}, ("even",), "expected an even number, got 3"),
        ({"colour": "blue"}, ("colour",), "input should be 'red', got \"blue\""),
        ({"whol": 1}, ("whol",), 'unknown field; did you mean "whole"?'),
        ({"zzz": 1}, ("zzz",), "unknown field; remove it"),
    ],
)
def test_what_is_said_of_one_mistake(tree: Any, path: tuple[str | int, ...], message: str) -> None:
    (problem,) = diagnose(tree)
    assert (problem.path, problem.message) == (path, message)


def test_the_members_of_a_union_are_no_part_of_the_path() -> None:
    (problem,) = diagnose({"either": {"low": 2, "word": "ab"}})[:1]
    assert problem.path[:1] == ("either",)
    assert set(problem.path) <= {"either", "low", "word"}


def test_a_field_that_a_member_of_a_union_misses_is_in_the_object_that_is_there() -> None:
    assert {problem.path for problem in diagnose({"other": {"x": 1}})} == {("other", "size"), ("other", "x")}


def test_a_list_is_not_called_wrong_besides_its_items() -> None:
    problems = diagnose({"items": ["a", "b"]})
    assert [problem.path for problem in problems] == [("items", 0), ("items", 1)]


def test_at_most_twenty_are_shown_and_the_rest_counted() -> None:
    problems = diagnose({f"k{i}": 0 for i in range(30)})
    assert len(problems) == MAX_PROBLEMS + 1
    assert problems[-1].message == "and 10 more mistakes, which are not shown"


def test_twenty_are_just_shown() -> None:
    assert len(diagnose({f"k{i}": 0 for i in range(20)})) == 20
    assert diagnose({f"k{i}": 0 for i in range(21)})[-1].message == "and one more mistake, which is not shown"


def test_what_is_known_of_a_place_comes_instead() -> None:
    known = Problem("unknown constant", ("whole",))
    problems = diagnose({"whole": "$w", "flag": 0}, known=[known])
    assert [problem.message for problem in problems] == ["unknown constant", "expected true or false, got 0"]


def test_problems_that_are_few_stay_as_they_are() -> None:
    problems = [Problem("one")]
    assert at_most_twenty(problems, 1) == (problems[0],)


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ((), None),
        (("layers", 0, "stride"), "conv2d"),
        (("layers", 1, "layers", 0, "x"), "relu"),
        (("layers", 1, "layers"), "residual"),
        (("layers", 2, "x"), None),
        (("layers", 7, "x"), None),
        (("name", "x"), None),
    ],
)
def test_the_kind_of_the_component_around_a_place(path: tuple[str | int, ...], kind: str | None) -> None:
    tree = {
        "name": "n",
        "layers": [{"type": "conv2d"}, {"type": "residual", "layers": [{"type": "relu"}]}, {"type": "\x1b[31m"}],
    }
    assert kind_around(tree, path) == kind
