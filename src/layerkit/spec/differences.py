"""Describes in words where two specs differ."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice, zip_longest
from typing import Any, NamedTuple

from layerkit.spec.text import Path
from layerkit.wording import json_path, show

MAX_SHOWN = 3


class Difference(NamedTuple):
    """A place where two trees of JSON values differ, and the value of each tree there, as text for a message."""

    path: Path
    one: str
    other: str


def differences(one: Any, other: Any, path: Path = ()) -> Iterator[Difference]:
    """Yield the innermost places where two trees differ, in the order of the first.

    If two components have different types, only the types are reported.
    """
    if isinstance(one, dict) and isinstance(other, dict):
        keys = ["type"] if one.get("type") != other.get("type") else list(one | other)
        for key in keys:
            yield from differences(one.get(key, _NOTHING), other.get(key, _NOTHING), (*path, key))
    elif isinstance(one, list) and isinstance(other, list):
        for index, pair in enumerate(zip_longest(one, other, fillvalue=_NOTHING)):
            yield from differences(*pair, (*path, index))
    elif one != other:
        yield Difference(path, *("absent" if value is _NOTHING else show(value) for value in (one, other)))


_NOTHING = object()


def how_they_differ(one: Any, other: Any, in_one: str, in_other: str) -> str:
    """Return the first few differences of two trees in a line, or nothing where they are equal.

    Args:
        one, other: the trees.
        in_one, in_other: the source of each, such as "in net.json".
    """
    found = differences(one, other)
    shown = [
        f"{json_path(path)} is {here} {in_one} and {there} {in_other}" for path, here, there in islice(found, MAX_SHOWN)
    ]
    rest = sum(1 for _ in found)
    return "; ".join(shown) + (f"; and {rest:,} more" if rest else "")
