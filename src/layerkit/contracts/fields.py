"""Types of fields that several specs share, each with its range."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import torch
from pydantic import Field, GetCoreSchemaHandler, PlainValidator
from pydantic_core import PydanticCustomError, core_schema

MAX_CHANNELS = 65_536
MAX_SIZE = 65_536

Channels = Annotated[int, Field(ge=1, le=MAX_CHANNELS)]


def _of_floats(dtype: Any) -> torch.dtype:
    if isinstance(dtype, torch.dtype) and dtype.is_floating_point:
        return dtype
    raise PydanticCustomError("float_dtype", "expected a torch.dtype of floats, such as torch.float32")


FloatDtype = Annotated[torch.dtype, PlainValidator(_of_floats)]
"""The type of a constructor's argument ``dtype``, the dtype of its parameters; no spec has such a field."""


@dataclass(frozen=True)
class IntegerOrPair:
    """Annotates a field that is one whole number for both directions, or a pair (vertical, horizontal).

    Attributes:
        low: the smallest number allowed.
        high: the largest number allowed.
    """

    low: int
    high: int

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        # Not a union: that would report every mistake once for each of its members.
        return core_schema.no_info_plain_validator_function(self._validate)

    def __get_pydantic_json_schema__(self, schema: core_schema.CoreSchema, handler: Any) -> dict[str, Any]:
        integer = {"type": "integer", "minimum": self.low, "maximum": self.high}
        return {"anyOf": [integer, {"type": "array", "items": integer, "minItems": 2, "maxItems": 2}]}

    def _validate(self, value: Any) -> int | tuple[int, int]:
        pair = value if isinstance(value, list | tuple) else (value, value)
        if len(pair) == 2 and all(type(part) is int and self.low <= part <= self.high for part in pair):
            return tuple(value) if isinstance(value, list | tuple) else value
        raise PydanticCustomError(
            "integer_or_pair",
            "expected a whole number from {low} to {high}, or a pair of them such as [{low}, {low}]",
            {"low": self.low, "high": self.high},
        )


Kernel = Annotated[int | tuple[int, int], IntegerOrPair(1, 1024)]
Stride = Annotated[int | tuple[int, int], IntegerOrPair(1, 1024)]
Padding = Annotated[int | tuple[int, int], IntegerOrPair(0, 1024)]
Scale = Annotated[int | tuple[int, int], IntegerOrPair(1, 64)]


@dataclass(frozen=True)
class NumberOrRange:
    """Annotates a field that is one number, or the ends [low, high] of a range that numbers are drawn from.

    Attributes:
        low: the smallest number allowed.
        high: the largest number allowed.
        example: a typical range, for error messages.
    """

    low: float
    high: float
    example: tuple[float, float]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        # Not a union: that would report every mistake once for each of its members.
        return core_schema.no_info_plain_validator_function(self._validate)

    def __get_pydantic_json_schema__(self, schema: core_schema.CoreSchema, handler: Any) -> dict[str, Any]:
        number = {"type": "number", "minimum": self.low, "maximum": self.high}
        return {"anyOf": [number, {"type": "array", "items": number, "minItems": 2, "maxItems": 2}]}

    def _validate(self, value: Any) -> float | tuple[float, float]:
        ends = value if isinstance(value, list | tuple) else (value, value)
        # NaN fails every comparison, and bool is not float or int by type.
        numbers = len(ends) == 2 and all(type(end) in (int, float) and self.low <= end <= self.high for end in ends)
        if numbers and ends[0] <= ends[1]:
            return (float(ends[0]), float(ends[1])) if ends is value else float(value)
        raise PydanticCustomError(
            "number_or_range",
            "expected a number from {low} to {high}, or a range of them such as [{from}, {to}], the lower end first",
            {name: f"{number:g}" for name, number in zip(_ENDS, (self.low, self.high, *self.example), strict=True)},
        )


_ENDS = ("low", "high", "from", "to")


def pair(value: int | tuple[int, int]) -> tuple[int, int]:
    """Return a size as (vertical, horizontal), where one number stands for both."""
    return value if isinstance(value, tuple) else (value, value)
