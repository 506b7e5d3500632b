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
    ],
)
def test_a_value_is_shown_short_and_without_control_characters(value: object, text: str) -> None:
    assert show(value) == text
