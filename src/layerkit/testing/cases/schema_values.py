"""JSON values drawn from a JSON Schema: what pydantic writes for a spec's fields, and no more of the standard.

Sizes stay small so that a full check of the gradients is affordable: whole numbers lie within a few steps of their
lower end, and lists are short. Wide values, for cases that are looked at less closely, reach further up.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hypothesis import reject
from hypothesis import strategies as st

from layerkit.contracts.registered import REGISTERED
from layerkit.contracts.specs import KindName

Schema = Mapping[str, Any]

STEPS = 3
"""Whole numbers go from their lower end this many steps up, and twice as many now and then."""
WIDE_STEPS = (1, 2, 4, 69, 3, 6, 15, 32, 0)
"""Wide whole numbers are this many steps from their lower end: kernels of 5 and 7, and more than 64 channels."""
LONGEST = 2
"""Lists have at most this many items more than they must."""
WIDEST = 1000.0
"""Intervals of numbers that are wider than this are drawn from near their lower end only."""


@dataclass(frozen=True)
class SchemaValues:
    """st.DrawFns values of one schema.

    Attributes:
        definitions: the schema's ``$defs``.
        component: draws a registered component of a kind as a JSON object.
        wide: whether whole numbers reach far above their lower end.
    """

    definitions: Mapping[str, Schema]
    component: Callable[[st.DrawFn, KindName], Any]
    wide: bool = False

    def draw(self, draw: st.DrawFn, schema: Schema) -> Any:
        """Return a value of ``schema``."""
        if REGISTERED in schema:
            return self.component(draw, schema[REGISTERED])
        if "$ref" in schema:
            return self.draw(draw, self.definitions[schema["$ref"].rsplit("/", 1)[-1]])
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return draw(st.sampled_from(schema["enum"]))
        for choice in ("anyOf", "oneOf"):
            if choice in schema:
                return self.draw(draw, draw(st.sampled_from(schema[choice])))
        if "allOf" in schema:
            return self.draw(draw, {**schema["allOf"][0], **{k: v for k, v in schema.items() if k != "allOf"}})
        return self._of_type(draw, schema, schema.get("type"))

    def _of_type(self, draw: st.DrawFn, schema: Schema, kind: Any) -> Any:
        match kind:
            case "integer":
                return _integer(draw, schema, self.wide)
            case "number":
                return _number(draw, schema)
            case "boolean":
                return draw(st.booleans())
            case "null":
                return None
            case "array":
                return self._array(draw, schema)
            case "object":
                return self.draw_object(draw, schema)
            case "string":
                length = max(schema.get("minLength", 0), 1)
                return "abcdefgh"[: min(length, schema.get("maxLength", length))]
            case list():
                return self._of_type(draw, schema, draw(st.sampled_from(kind)))
        reject()

    def draw_object(self, draw: st.DrawFn, schema: Schema) -> dict[str, Any]:
        """Return an object with every required key, and most of the others."""
        required = schema.get("required", ())
        value = {}
        for name, field in schema.get("properties", {}).items():
            if name in required or draw(_MOSTLY):
                value[name] = self.draw(draw, field)
        return value

    def _array(self, draw: st.DrawFn, schema: Schema) -> list[Any]:
        if "prefixItems" in schema:
            return [self.draw(draw, item) for item in schema["prefixItems"]]
        shortest = schema.get("minItems", 0)
        longest = min(schema.get("maxItems", math.inf), shortest + LONGEST)
        return [self.draw(draw, schema.get("items", {})) for _ in range(draw(st.integers(shortest, longest)))]


_MOSTLY = st.sampled_from([False, True, True, True])


def _integer(draw: st.DrawFn, schema: Schema, wide: bool) -> int:
    low, high = _ends(schema, default=-1)
    low, high = math.ceil(low), math.floor(high)
    step = schema.get("multipleOf", 1)
    if "exclusiveMinimum" in schema and low == schema["exclusiveMinimum"]:
        low += 1
    if "exclusiveMaximum" in schema and high == schema["exclusiveMaximum"]:
        high -= 1
    low = -(-low // step) * step
    reach = max(0, int(high - low) // step)
    if wide:
        return int(low + step * draw(st.sampled_from([steps for steps in WIDE_STEPS if steps <= reach])))
    most = draw(st.sampled_from([STEPS, STEPS, 2 * STEPS]))
    return int(low + step * draw(st.integers(0, min(most, reach))))


def _number(draw: st.DrawFn, schema: Schema) -> float:
    """Return one of nine evenly spaced numbers, or one of many digits between them.

    Hypothesis's own floats go to where every formula breaks down.
    """
    low, high = _ends(schema, default=-1.0)
    span = high - low
    if span > 1:
        span = draw(st.sampled_from([1.0, span])) if span <= WIDEST else 1.0
    first = 1 if "exclusiveMinimum" in schema else 0
    last = 7 if "exclusiveMaximum" in schema and span == high - low else 8
    share = draw(st.sampled_from([*range(first, last + 1), *MANY_DIGITS]))
    return float(low + span * share / 8)


MANY_DIGITS = (8 / 3, 6.2831853071795865, 0.0987654320987654)
"""Eighths of an interval that no short text holds, as a number written with too few digits would be another."""


def _ends(schema: Schema, default: float) -> tuple[float, float]:
    low = max(schema.get("minimum", -math.inf), schema.get("exclusiveMinimum", -math.inf))
    high = min(schema.get("maximum", math.inf), schema.get("exclusiveMaximum", math.inf))
    if low == -math.inf:
        low = min(default, high - 2)
    elif low < default and high > default and schema.get("minimum", low) < -STEPS:
        low = default  # a wide interval on both sides of zero: stay near it
    if high == math.inf:
        high = low + WIDEST * 2
    return low, high
