"""What pydantic found wrong with a spec, said as a person would: the place, what was expected and given, the remedy."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Iterable
from typing import Any

from pydantic import ValidationError

from layerkit.errors import Problem
from layerkit.jsontext import Path

MAX_PROBLEMS = 20


def problems_of(error: ValidationError, tree: Any, fields_at: Callable[[Path], Iterable[str]]) -> list[Problem]:
    """Return the problems in a validation error of ``tree``, one a place, at most twenty.

    Args:
        error: what pydantic raised.
        tree: the value that was validated.
        fields_at: gives the names of the fields that the object at a path may have.
    """
    found: dict[Path, Problem] = {}
    for detail in error.errors(include_url=False):
        path = _path_in(detail["loc"], tree, missing=detail["type"] == "missing")
        if path not in found:
            found[path] = Problem(_message(detail, path, fields_at), path, kind_around(tree, path))
    # A list whose items are all refused is called too short besides.
    problems = [
        problem
        for path, problem in found.items()
        if not any(path == other[: len(path)] and path != other for other in found)
    ]
    if len(problems) > MAX_PROBLEMS:
        rest = len(problems) - MAX_PROBLEMS
        problems = [*problems[:MAX_PROBLEMS], Problem(f"and {rest} more mistakes, which are not shown")]
    return problems


def _path_in(loc: Iterable[str | int], tree: Any, missing: bool) -> Path:
    """Return the part of pydantic's location that is a path in the tree; it also names union members and the like."""
    path: list[str | int] = []
    here = tree
    for key in loc:
        if isinstance(here, dict) and (key in here or (missing and isinstance(key, str))):
            here = here.get(key)
        elif isinstance(here, list) and isinstance(key, int) and key < len(here):
            here = here[key]
        else:
            continue
        path.append(key)
    return tuple(path)


def kind_around(tree: Any, path: Path) -> str | None:
    """Return the ``type`` of the innermost object on the way to ``path`` that has one."""
    kind, here = None, tree
    for key in (*path, None):
        if isinstance(here, dict) and isinstance(here.get("type"), str):
            kind = here["type"][:80]
        try:
            here = here[key]
        except (KeyError, IndexError, TypeError):
            break
    return kind


def _message(detail: Any, path: Path, fields_at: Callable[[Path], Iterable[str]]) -> str:
    code, given, context = detail["type"], detail["input"], detail.get("ctx", {})
    shown = show(given)
    if code == "missing":
        return "missing; add it"
    if code == "extra_forbidden":
        near = difflib.get_close_matches(str(path[-1]), list(fields_at(path[:-1])), n=1)
        return "unknown field; " + (f'did you mean "{near[0]}"?' if near else "remove it")
    if code in ("unknown_component", "component"):
        return detail["msg"]
    if code == "literal_error":
        return f"expected {context['expected']}, got {shown}"
    expected = _EXPECTED.get(code, "").format(**context) or detail["msg"][:1].lower() + detail["msg"][1:]
    if code in _NUMBERS and isinstance(given, str) and _is_number(given):
        return f"{expected}, got {shown}; write {given.strip()} without quotes"
    return f"{expected}, got {shown}"


_NUMBERS = ("int_type", "float_type", "integer_or_pair")
_EXPECTED = {
    "int_type": "expected a whole number",
    "int_from_float": "expected a whole number",
    "float_type": "expected a number",
    "finite_number": "expected a finite number",
    "string_type": "expected a text in quotes",
    "bool_type": "expected true or false",
    "tuple_type": "expected a list",
    "list_type": "expected a list",
    "model_type": "expected an object {{...}}",
    "dict_type": "expected an object {{...}}",
    "greater_than": "expected a number greater than {gt}",
    "greater_than_equal": "expected at least {ge}",
    "less_than": "expected a number less than {lt}",
    "less_than_equal": "expected at most {le}",
    "string_too_long": "expected at most {max_length} characters",
    "string_too_short": "expected at least {min_length} characters",
    "too_long": "expected at most {max_length} items",
    "too_short": "expected at least {min_length} items",
}


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def show(value: Any) -> str:
    """Return a value as JSON, short enough for a sentence."""
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError):
        text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
