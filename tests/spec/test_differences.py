from __future__ import annotations

from typing import Any

import pytest

from layerkit.spec.differences import differences, how_they_differ


@pytest.mark.parametrize("tree", [3, None, "a", [], {"a": [1, {"b": None}]}])
def test_equal_trees_do_not_differ(tree: Any) -> None:
    assert list(differences(tree, tree)) == []
    assert how_they_differ(tree, tree, "there", "here") == ""


@pytest.mark.parametrize(
    ("one", "other", "told"),
    [
        ({"a": {"b": [1, 2]}}, {"a": {"b": [1, 3]}}, "a.b[1] is 2 there and 3 here"),
        ({"a": 1}, {}, "a is 1 there and absent here"),
        ({}, {"a": None}, "a is absent there and null here"),
        ([1], [1, 2], "[1] is absent there and 2 here"),
        ({"a": [1]}, {"a": 1}, "a is [1] there and 1 here"),
        (
            {"layers": [{"type": "relu"}]},
            {"layers": [{"type": "conv2d", "kernel_size": 3}]},
            'layers[0].type is "relu" there and "conv2d" here',
        ),
        (
            dict.fromkeys("abcde", 1),
            dict.fromkeys("abcde", 2),
            "a is 1 there and 2 here; b is 1 there and 2 here; c is 1 there and 2 here; and 2 more",
        ),
    ],
)
def test_the_first_places_are_told(one: Any, other: Any, told: str) -> None:
    assert how_they_differ(one, other, "there", "here") == told


def test_long_values_are_shortened() -> None:
    told = how_they_differ({"a": "x" * 10_000}, {"a": "y" * 10_000}, "there", "here")
    assert len(told) < 200
