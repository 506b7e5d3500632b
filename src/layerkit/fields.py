"""Field types that several specs share, each with its range."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field, GetCoreSchemaHandler
from pydantic_core import PydanticCustomError, core_schema

MAX_CHANNELS = 65_536
MAX_SIZE = 65_536

Channels = Annotated[int, Field(ge=1, le=MAX_CHANNELS)]


@dataclass(frozen=True)
class IntegerOrPair:
    """The mark of a field that is one whole number for both directions, or a pair (vertical, horizontal)."""

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


def pair(value: int | tuple[int, int]) -> tuple[int, int]:
    """Return (vertical, horizontal) of a number that may stand for both."""
    return value if isinstance(value, tuple) else (value, value)
