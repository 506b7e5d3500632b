from __future__ import annotations

import pytest

from layerkit.wording import json_path, show


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ((), ""),
        (("layers", 3, "kernel_size"), "layers[3].kernel_size"),
        (("layers", 3, "kernel_size", 1), "layers[3].kernel_size[1]"),
        (("$schema",), "$schema"),
        (("training", "a.b"), 'training["a.b"]'),
        (("training", ""), 'training[""]'),
        (("x\x1b[31m",), '["x\\u001b[31m"]'),
    ],
)
def test_a_path_is_written_as_in_javascript(path: tuple[str | int, ...], text: str) -> None:
    assert json_path(path) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3, "3"),
        (True, "true"),
        ([1, "a"], '[1, "a"]'),
        ("é", '"é"'),
        ("\x9b31m\u202e", '"\\u009b31m\\u202e"'),
        ("x" * 100, '"' + "x" * 56 + "..."),
        ({1, 2}, "{1, 2}"),
        (["x" * 100], '["' + "x" * 55 + "..."),
        ([1] * 100, "[" + "1, " * 18 + "1," + "..."),
        ([10**5000], "a value of type list"),
    ],
)
def test_a_value_is_shown_short_and_without_control_characters(value: object, text: str) -> None:
    assert show(value) == text


def test_no_more_of_a_value_is_written_than_is_shown(at_most) -> None:
    with at_most(2_000):
        assert show([[0, "x" * 10**6]] * 10**6).endswith("...")


def test_a_value_that_json_does_not_know_is_not_written_whole_either() -> None:
    assert len(show({object() for _ in range(1000)})) <= 60
