"""Values that replace those of a file: ``training.optimizer.lr=0.5``."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from typing import Any

from layerkit import jsontext
from layerkit.errors import Problem, SpecError


def parse_override(assignment: str) -> tuple[str, Any]:
    """Return (path, value) of a text ``path=value``; the value is JSON, or else a text without quotes.

    Raises:
        SpecError: when there is no ``=``, or the value is JSON of a kind that no spec may have.
    """
    path, equals, text = assignment.partition("=")
    if not equals or not _PATH.fullmatch(path):
        raise SpecError((Problem(f'expected path=value such as training.epochs=2, got "{assignment}"', source="--set"),))
    try:
        return path, jsontext.parse(text, f"--set {path}")
    except SpecError as error:
        if text.lstrip()[:1] in ("{", "[", '"') or "not JSON" not in str(error):
            raise
        return path, text


_PATH = re.compile(r"[^.\[\]=]+(\.[^.\[\]=]+|\[\d{1,6}\])*")


def keys_of(path: str) -> jsontext.Path:
    """Return ``layers[3].kernel_size`` as ``("layers", 3, "kernel_size")``."""
    return tuple(int(index) if index else key for key, index in re.findall(r"([^.\[\]]+)|\[(\d+)\]", path) if key or index)


def apply_overrides(tree: Any, overrides: Mapping[str, Any]) -> Any:
    """Return a copy of ``tree`` with the values at some paths replaced; the objects around them must exist.

    Raises:
        SpecError: when a path leads nowhere.
    """
    tree = copy.deepcopy(tree) if overrides else tree
    for path, value in overrides.items():
        *around, last = keys_of(path)
        here = tree
        try:
            for key in around:
                here = here[key]
            if isinstance(here, list):
                here[last]  # only what is there can be replaced
            elif not isinstance(here, dict):
                raise TypeError
            here[last] = value
        except (KeyError, IndexError, TypeError):
            message = "there is nothing to replace at this path; the objects and lists around it must be in the file"
            raise SpecError((Problem(message, keys_of(path)),)) from None
    return tree


def overridden_at(path: jsontext.Path, overrides: Mapping[str, Any]) -> str | None:
    """Return the override, as it is written, that the value at ``path`` came from."""
    for name, value in overrides.items():
        keys = keys_of(name)
        if path[: len(keys)] == keys:
            return f"--set {name}={value}"
    return None
