"""Explains pydantic's errors in plain words: the place, what was expected, what was given, and the remedy."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable
from typing import Any

from pydantic import ValidationError

from layerkit.errors import Problem
from layerkit.spec.text import Path
from layerkit.wording import show

MAX_PROBLEMS = 20


def problems_of(
    error: ValidationError, tree: Any, fields_at: Callable[[Path], Iterable[str]], known: Iterable[Problem] = ()
) -> tuple[Problem, ...]:
    """Return the problems in a validation error of ``tree``, one for each place, at most twenty.

    Args:
        error: the error that pydantic raised.
        tree: the value that was validated.
        fields_at: returns the names of the fields that the object at a path may have.
        known: problems that were found before; they replace pydantic's errors at the same places.
    """
    known = list(known)
    places = {problem.path for problem in known}
    found: dict[Path, Any] = {}
    for detail in error.errors(include_url=False):
        path = _path_in(detail["loc"], tree, missing=detail["type"] in ("missing", "missing_type"))
        if path not in places:
            found.setdefault(path, detail)
    # When all items of a list are refused, pydantic also reports that the list is too short.
    around = {path[:length] for path in found for length in range(len(path))}
    inmost = [(path, detail) for path, detail in found.items() if path not in around]
    # Messages are made only for those that are shown, since a hostile spec may have a hundred thousand mistakes.
    shown = [Problem(_message(*item, fields_at), item[0], kind_around(tree, item[0])) for item in inmost[:MAX_PROBLEMS]]
    return at_most_twenty([*known, *shown], len(known) + len(inmost))


def at_most_twenty(problems: list[Problem], total: int) -> tuple[Problem, ...]:
    """Return the first twenty problems, and if ``total`` is larger, one more that counts those that are not shown."""
    rest = total - MAX_PROBLEMS
    if rest <= 0:
        return tuple(problems)
    more = "one more mistake, which is" if rest == 1 else f"{rest:,} more mistakes, which are"
    return *problems[:MAX_PROBLEMS], Problem(f"and {more} not shown")


def _path_in(loc: tuple[str | int, ...], tree: Any, missing: bool) -> Path:
    """Return the part of pydantic's location that is a path in the tree; it also names union members and the like."""
    path: list[str | int] = []
    here = tree
    for index, key in enumerate(loc):
        if _has(here, key):
            here = here[key]
        elif not (isinstance(here, dict) and missing and index == len(loc) - 1):
            continue
        path.append(key)
    return tuple(path)


def _has(tree: Any, key: str | int) -> bool:
    return key in tree if isinstance(tree, dict) else isinstance(tree, list) and key in range(len(tree))


def kind_around(tree: Any, path: Path) -> str | None:
    """Return the ``type`` of the innermost object on the way to ``path`` that has one."""
    kind, here = None, tree
    for key in (*path, None):
        if isinstance(here, dict) and isinstance(here.get("type"), str):
            # If it is not a possible name, the message shows it, with quotes and escapes.
            kind = here["type"] if re.fullmatch(r"\w{1,64}", here["type"]) else None
        try:
            here = here[key]
        except (KeyError, IndexError, TypeError):
            break
    return kind


def _message(path: Path, detail: Any, fields_at: Callable[[Path], Iterable[str]]) -> str:
    code, given, context = detail["type"], detail["input"], detail.get("ctx", {})
    shown = show(given)
    if code == "missing":
        return "missing; add it"
    if code == "extra_forbidden":
        near = difflib.get_close_matches(str(path[-1])[:80], list(fields_at(path[:-1])), n=1)
        return "unknown field; " + (f'did you mean "{near[0]}"?' if near else "remove it")
    if code in ("component", "missing_type"):
        remedy = context.get("remedy")
        return f"{detail['msg']}; {remedy()}" if remedy else detail["msg"]
    expected = _EXPECTED.get(code, "").format(**context) or detail["msg"][:1].lower() + detail["msg"][1:]
    expected = re.sub(r"\b1 (character|item)s\b", r"1 \1", expected)
    if code in _NUMBERS and isinstance(given, str) and _NUMBER.fullmatch(given.strip()):
        return f"{expected}, got {shown}; write {given.strip()} without quotes"
    return f"{expected}, got {shown}"


_NUMBERS = ("int_type", "float_type", "integer_or_pair", "number_or_range")
_NUMBER = re.compile(r"-?\d{1,40}(\.\d{1,40})?([eE][+-]?\d{1,3})?", re.ASCII)
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
    "literal_error": "expected {expected}",
    "value_error": "{error}",
    "assertion_error": "{error}",
    "greater_than": "expected a number greater than {gt}",
    "greater_than_equal": "expected at least {ge}",
    "less_than": "expected a number less than {lt}",
    "less_than_equal": "expected at most {le}",
    "string_too_long": "expected at most {max_length} characters",
    "string_too_short": "expected at least {min_length} characters",
    "too_long": "expected at most {max_length} items",
    "too_short": "expected at least {min_length} items",
}
