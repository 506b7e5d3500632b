"""Describes types in words, for messages: ``Annotated[int, Field(ge=1, le=64)]`` is "a whole number from 1 to 64"."""

from __future__ import annotations

import types
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

_WORDS = {
    int: "a whole number",
    float: "a number",
    bool: "True or False",
    str: "a text",
    type(None): "None",
}
_LIMITS = {"ge": "at least", "gt": "greater than", "le": "at most", "lt": "less than"}
"""The attributes of pydantic's constraints that limit a number, in words."""


def phrase(annotation: Any, marks: tuple[Any, ...] = ()) -> str:
    """Return the values that a type allows, as a phrase that completes "must be".

    Args:
        annotation: a type or a ``typing`` annotation.
        marks: its constraints, as in ``Annotated``.
    """
    marks = tuple(inner for mark in marks for inner in (mark.metadata if isinstance(mark, FieldInfo) else [mark]))
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return phrase(arguments[0], (*arguments[1:], *marks))
    if origin in (Union, types.UnionType):
        return " or ".join(phrase(member, marks) for member in arguments)
    if origin is Literal:
        return " or ".join(map(repr, arguments))
    if origin is tuple and arguments[-1:] == (Ellipsis,):
        return f"a tuple or list, each item {phrase(arguments[0])}"
    if origin is tuple:
        return "(" + ", ".join(map(phrase, arguments)) + ")"
    if annotation in _WORDS:
        return _WORDS[annotation] + (_limits(marks) if annotation in (int, float) else "")
    return _name(origin or annotation)


def _limits(marks: tuple[Any, ...]) -> str:
    """Return the range in which a number must be: `` from 1 to 65,536``."""
    limits = {name: _number(getattr(mark, name)) for mark in marks for name in _LIMITS if hasattr(mark, name)}
    if limits.keys() == {"ge", "le"}:
        return f" from {limits['ge']} to {limits['le']}"
    told = [f"{words} {limits[name]}" for name, words in _LIMITS.items() if name in limits]
    return f" {' and '.join(told)}" if told else ""


def _number(value: float) -> str:
    return f"{int(value) if value == int(value) else value:,}"


def _name(annotation: Any) -> str:
    name = getattr(annotation, "__name__", str(annotation))
    module = getattr(annotation, "__module__", "").partition(".")[0]
    return f"a {module}.{name}" if module in ("torch", "layerkit") else f"a {name}"
