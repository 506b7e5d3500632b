"""Writes components and specs in one line, as the Python calls that make them."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel


def short(value: Any) -> str:
    """Return the ``repr`` of a value on one line, with dots in place of long or deeply nested parts."""
    return _short.repr(value)


class _Short(reprlib.Repr):
    """Writes models with only the fields that are not at their defaults."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel, self.maxtuple, self.maxlist = 4, 12, 12
        self.maxstring, self.maxother = 60, 120

    def repr1(self, x: Any, level: int) -> str:
        if isinstance(x, BaseModel):
            return self._model(x, level)
        try:
            return " ".join(super().repr1(x, level).split())
        except ValueError:  # Python refuses to write integers with thousands of digits
            return f"a value of type {type(x).__name__}"

    def _model(self, model: BaseModel, level: int) -> str:
        name = type(model).__name__
        if level <= 0:
            return f"{name}(...)"
        fields = {
            key: getattr(model, key)
            for key, field in type(model).model_fields.items()
            # The type only repeats the name of the class.
            if key != "type" and (field.is_required() or getattr(model, key) != field.get_default())
        }
        return f"{name}({', '.join(f'{key}={self.repr1(value, level - 1)}' for key, value in fields.items())})"


_short = _Short()


def described(name: str, parts: Mapping[str, str]) -> str:
    """Return a description of an object with one line for each of its parts."""
    return "\n".join([f"{name}(", *(f"  {key}: {text}" for key, text in parts.items()), ")"])
