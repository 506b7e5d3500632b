"""The reader of JSON text against a slow and simple one, and against texts that nobody means well with."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from layerkit.errors import SpecError
from layerkit.spec import text as jsontext
from layerkit.spec.text import decode, from_python, line_and_column, parse, places

LONGER = int(os.environ.get("LAYERKIT_FUZZ", "1"))
"""How many times more examples than usual."""

scalars = st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.floats(allow_nan=False, allow_infinity=False)
texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=6) | st.sampled_from(
    ['"', "\\", "{", "]", ":", ",", "1"]
)
trees = st.recursive(
    scalars | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


class Writer:
    """Writes JSON with random white space and escapes, and notes where each value stands."""

    def __init__(self, draw: Any) -> None:
        self.draw = draw
        self.text = ""
        self.places: dict[tuple[str | int, ...], int] = {}

    def space(self) -> None:
        self.text += self.draw(st.text(" \t\r\n", max_size=2))

    def scalar(self, value: Any) -> None:
        self.text += json.dumps(value, ensure_ascii=self.draw(st.booleans()))

    def value(self, value: Any, path: tuple[str | int, ...], noted: bool = False) -> None:
        self.space()
        if not noted:
            self.places[path] = len(self.text)
        if isinstance(value, dict):
            self.text += "{"
            for index, (key, member) in enumerate(value.items()):
                self.text += "," if index else ""
                self.space()
                self.places[*path, key] = len(self.text)
                self.scalar(key)
                self.space()
                self.text += ":"
                self.value(member, (*path, key), noted=True)
            self.space()
            self.text += "}"
        elif isinstance(value, list):
            self.text += "["
            for index, item in enumerate(value):
                self.text += "," if index else ""
                self.value(item, (*path, index))
            self.space()
            self.text += "]"
        else:
            self.scalar(value)
        self.space()


@st.composite
def documents(draw: Any) -> tuple[Any, str, dict[tuple[str | int, ...], int]]:
    tree = draw(trees)
    writer = Writer(draw)
    writer.value(tree, ())
    return tree, writer.text, writer.places


@given(documents())
@settings(max_examples=300 * LONGER)
def test_values_and_their_places(document: tuple[Any, str, dict[tuple[str | int, ...], int]]) -> None:
    tree, text, expected = document
    assert parse(text, "x") == tree
    assert places(text) == expected


@given(documents(), st.data())
@settings(max_examples=150 * LONGER)
def test_a_key_that_stands_twice_is_found_where_it_stands_again(document: Any, data: st.DataObject) -> None:
    _, text, where = document
    keys = [path for path in where if path and isinstance(path[-1], str)]
    if not keys:
        return
    path = data.draw(st.sampled_from(keys))
    # A second member of the same key, directly before the first, which makes that one the second.
    second = f"{json.dumps(path[-1])}: 0, "
    text = text[: where[path]] + second + text[where[path] :]
    with pytest.raises(SpecError, match="stands twice in one object; keep one of them") as caught:
        parse(text, "x")
    (problem,) = caught.value.problems
    assert (problem.line, problem.column) == line_and_column(text, where[path] + len(second))


@given(st.text('{}[]",:0123456789.eE+-\\/ \ntrufalsn\ud800é') | trees.map(json.dumps).map(lambda text: text[:-1]))
@settings(max_examples=800 * LONGER)
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        tree = parse(text, "x")
    except SpecError as error:
        assert all(problem.source == "x" for problem in error.problems)
    else:
        assert json.loads(text) == tree
        assert set(places(text)) >= {()}


@given(st.binary() | st.text().map(str.encode))
@settings(max_examples=500 * LONGER)
def test_any_bytes_are_text_or_refused(data: bytes) -> None:
    try:
        assert decode(data, "x").encode() == data
    except SpecError as error:
        assert error.problems[0].source == "x"


REFUSED = [
    ('{"a": 1,\n "a": 2}', r"x:2:2: the key \"a\" stands twice in one object"),
    ('{"b": {"{": 1, "{": 2}}', r"x:1:16: the key \"{\" stands twice"),
    ('{"a": 1, "1": 2, "1": 3}', r"x:1:18: the key \"1\" stands twice"),
    ('[{"a": 1}, {"a": {"c": 0, "c": 1}}]', r"x:1:27: the key \"c\" stands twice"),
    ('{"\\u0061": 1, "a": 1}', r"x:1:15: the key \"a\" stands twice"),
    ('["NaN",\n NaN]', r"x:2:2: NaN is not a number that JSON knows; write a finite number"),
    ("[-Infinity]", r"x:1:2: -Infinity is not a number"),
    ("[NaNa]", r"x:1:2: NaN is not a number"),
    ("[1, 1e400]", r"x:1:5: 1e400 is too large for a number; write a finite one"),
    ("[-1e999x]", r"x:1:2: -1e999 is too large"),
    ("[" + "1" * 41 + "]", r"x:1:2: a number of 41 digits; at most 40 are read"),
    ("[0." + "1" * 1000 + "]", r"x:1:2: a number of 1,002 digits; at most 1,000 are read"),
    ("[" * 33 + "]" * 33, r"x:1:33: more than 32 levels of lists and objects inside each other"),
    ('"' + "x" * 1_000_000 + '"', r"x: the text is too long; at most 1,000,000 bytes are read"),
    ("[" + "0," * 40_000 + "0]", r"x:1:80000: more than 40,000 values and keys; use \"repeat\" for equal layers"),
    (r'["\ud800"]', r"x: half of a surrogate pair is not a character; remove the \\u escape"),
    ("\ud800", "not JSON"),
    ('["\ud800"]', "half of a surrogate pair"),
    ("", r"x:1:1: not JSON: expecting value"),
    ("{} {}", r"x:1:4: not JSON: extra data"),
    ('{"a": 1, // note\n"b": 2}', r'x:1:10: not JSON: .*; JSON has no comments, "description" is the place for them'),
    ("{'a': 1}", r"x:1:2: not JSON: .*; write strings in double quotes"),
    ("[1,\n]", r"x:2:1: not JSON: .*; remove the comma before it"),
    ('{"a": True}', r"x:1:7: not JSON: .*; write true, false or null"),
    ('["a\nb"]', r"x:1:4: not JSON: invalid control character"),
]


@pytest.mark.parametrize(("text", "message"), REFUSED)
def test_what_is_wrong_and_where(text: str, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        parse(text, "x")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b" " * 1_000_001, "x: the text is too long; at most 1,000,000 bytes are read"),
        ("\ufeff{}".encode(), "begins with a byte-order mark; save it as UTF-8 without one"),
        ("{}".encode("utf-16"), "begins with a byte-order mark"),
        (b'{\n"a": "\xe9"}', "x:2: the text is not UTF-8; save it as UTF-8"),
    ],
)
def test_bytes_that_are_no_text(data: bytes, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        decode(data, "x")


def test_what_is_just_allowed() -> None:
    assert parse("[" * 32 + "]" * 32, "x")
    assert parse("9" * 40, "x") == 10**40 - 1
    assert parse('"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["', "x")
    assert parse('"' + " " * 999_998 + '"', "x")
    assert parse(r'"\ud83d\ude00"', "x") == "😀"


def test_as_many_values_and_names_as_are_read() -> None:
    assert len(parse("[" + ",".join(["{}"] * 39_999) + "]", "x")) == 39_999
    names = ",".join(f'"{number}":0' for number in range(19_998))
    assert len(parse('{"":' + "{" + names + "}}", "x")[""]) == 19_998


def test_a_value_that_is_too_long_is_not_written_to_its_end() -> None:
    class Endless(list[int]):
        def __iter__(self) -> Iterator[int]:
            return iter(int, 1)

    with pytest.raises(SpecError, match="x: the text is too long; at most 1,000,000 bytes are read"):
        from_python(Endless([0]), "x")


def test_a_number_that_python_itself_does_not_write() -> None:
    with pytest.raises(SpecError, match="x: expected a value that JSON can write, got a value of type int"):
        from_python(10**5000, "x")


def test_a_string_that_does_not_end_hides_no_brackets() -> None:
    with pytest.raises(SpecError, match=r"not JSON|levels"):
        parse('["' + "\n" + "[" * 100_000, "x")


@pytest.mark.parametrize("value", [{1, 2}, object(), math.nan, 10**50, [[]] * 3 + [b""], {(1, 2): 3}])
def test_a_value_that_json_cannot_hold(value: object) -> None:
    with pytest.raises(SpecError, match="--set a: "):
        from_python(value, "--set a")


def test_a_value_of_a_program_is_what_json_would_give_back() -> None:
    assert from_python({"a": (1, 2.5)}, "x") == {"a": [1, 2.5]}


def test_a_value_inside_itself() -> None:
    value: list[Any] = []
    value.append(value)
    with pytest.raises(SpecError, match="expected a value that JSON can write"):
        from_python(value, "x")


def test_places_are_counted_from_one() -> None:
    assert line_and_column("ab\ncd", 0) == (1, 1)
    assert line_and_column("ab\ncd", 4) == (2, 2)
    assert jsontext.line_and_column("\n\n", 2) == (3, 1)
