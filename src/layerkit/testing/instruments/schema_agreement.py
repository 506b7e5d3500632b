"""Whether a JSON value fits a JSON Schema: the keywords that pydantic writes, read independently of it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from layerkit.contracts.registered import REGISTERED

Schema = Mapping[str, Any]

_TYPES = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "integer": lambda value: type(value) is int or (type(value) is float and value.is_integer()),
    "number": lambda value: type(value) in (int, float),
}


def fits(value: Any, schema: Schema, definitions: Mapping[str, Schema]) -> bool:
    """Return whether ``value`` is valid against ``schema``, as the standard (2020-12) has it."""
    return all(_faults(value, schema, definitions))


def _faults(value: Any, schema: Schema, definitions: Mapping[str, Schema]) -> Iterator[bool]:
    """Yield, keyword by keyword, whether the value keeps it."""

    def within(inner: Any, of: Schema) -> bool:
        return fits(inner, of, definitions)

    if "$ref" in schema:
        yield within(value, definitions[schema["$ref"].rsplit("/", 1)[-1]])
    if REGISTERED in schema:
        yield isinstance(value, dict)
    if "type" in schema:
        kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        yield any(_TYPES[kind](value) for kind in kinds)
    if "const" in schema:
        yield _equal(value, schema["const"])
    if "enum" in schema:
        yield any(_equal(value, item) for item in schema["enum"])
    if "anyOf" in schema:
        yield any(within(value, one) for one in schema["anyOf"])
    if "oneOf" in schema:
        yield sum(within(value, one) for one in schema["oneOf"]) == 1
    if "allOf" in schema:
        yield all(within(value, one) for one in schema["allOf"])
    if type(value) in (int, float):
        yield value >= schema.get("minimum", value)
        yield value <= schema.get("maximum", value)
        yield "exclusiveMinimum" not in schema or value > schema["exclusiveMinimum"]
        yield "exclusiveMaximum" not in schema or value < schema["exclusiveMaximum"]
        yield "multipleOf" not in schema or value % schema["multipleOf"] == 0
    if isinstance(value, str):
        yield schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value))
        yield "pattern" not in schema or re.search(schema["pattern"], value) is not None
    if isinstance(value, list):
        yield schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value))
        first = schema.get("prefixItems", ())
        yield all(within(item, of) for item, of in zip(value, first, strict=False))
        yield all(within(item, schema.get("items", {})) for item in value[len(first) :])
    if isinstance(value, dict):
        fields = schema.get("properties", {})
        yield all(name in value for name in schema.get("required", ()))
        yield all(within(item, fields[name]) for name, item in value.items() if name in fields)
        yield schema.get("additionalProperties", True) is not False or value.keys() <= fields.keys()


def _equal(first: Any, second: Any) -> bool:
    return first == second and isinstance(first, bool) == isinstance(second, bool)
