"""Values that replace those of a file: ``training.optimizer.lr=0.5``."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from typing import Any

from layerkit.errors import Problem, SpecError
from layerkit.spec import text as jsontext
from layerkit.wording import show


def parse_override(assignment: str) -> tuple[str, Any]:
    """Return (path, value) of a text ``path=value``; the value is JSON, or else a string without quotes.

    Raises:
        SpecError: when there is no ``=``, or the value is JSON that is not allowed in a spec.
    """
    path, equals, text = assignment.partition("=")
    if not equals or not re.fullmatch(PATH, path):
        message = f"expected path=value such as training.epochs=2, got {show(assignment)}"
        raise SpecError((Problem(message, source="--set"),))
    try:
        return path, jsontext.parse(text, f"--set {path}")
    except SpecError as error:
        meant_as_json = text.lstrip()[:1] in ("{", "[", '"')
        if meant_as_json or not error.problems[0].message.startswith(jsontext.NOT_JSON):
            raise
        return path, text


PATH = r"[^.\[\]=]+(\.[^.\[\]=]+|\[\d{1,6}\])*"
"""The syntax of a path: keys after dots, and indices in brackets."""


def keys_of(path: str) -> jsontext.Path:
    """Return ``layers[3].kernel_size`` as ``("layers", 3, "kernel_size")``."""
    return tuple(int(index) if index else key for key, index in re.findall(r"([^.\[\]]+)|\[(\d{1,6})\]", path))


def apply_overrides(tree: Any, overrides: Mapping[str, Any]) -> Any:
    """Return a copy of ``tree`` with the values at some paths replaced; the objects around them must exist.

    Raises:
        SpecError: when a path does not exist, or a value cannot be written as JSON.
    """
    if not overrides:
        return tree
    tree = copy.deepcopy(tree)
    for path, value in overrides.items():
        _replace(tree, keys_of(path), jsontext.from_python(value, f"--set {path}"))
    # The result of all overrides must keep the limits of a file.
    return jsontext.from_python(tree, "the spec with its overrides")


def _replace(tree: Any, path: jsontext.Path, value: Any) -> None:
    here = tree
    try:
        *around, last = path
        for key in around:
            here = here[key]
        # A member may be added to an object; in a list only existing items can be replaced.
        fits = isinstance(last, str) if isinstance(here, dict) else isinstance(here, list) and last in range(len(here))
        if not fits:
            raise TypeError
    except (KeyError, IndexError, TypeError, ValueError):
        message = "there is nothing to replace at this path; the objects and lists around it must be in the file"
        raise SpecError((Problem(message, path),)) from None
    here[last] = value


def overridden_at(path: jsontext.Path, overrides: Mapping[str, Any]) -> str | None:
    """Return the override, as it was written, that set the value at ``path``."""
    for name, value in reversed(list(overrides.items())):
        keys = keys_of(name)
        if path[: len(keys)] == keys:
            return f"--set {name}={show(value)}"
    return None
