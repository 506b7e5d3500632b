"""The JSON Schemas (2020-12) of the files that people write, for editors and validators.

The schema of an architecture file has every component of a catalogue, and accepts what the models of
:mod:`layerkit.spec.architecture` accept. Some mistakes cannot be expressed in a JSON Schema and are found by layerkit
only: shapes that do not fit, a network that does not fit its training or is too large, constants that are undefined or
have unsuitable values, violations of a spec's own validators, and 1.0 in place of a whole number.
"""

from __future__ import annotations

from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from layerkit.contracts.kinds import KINDS
from layerkit.contracts.registered import REGISTERED
from layerkit.contracts.specs import KindName
from layerkit.registry.catalogue import Catalogue, Component
from layerkit.spec.architecture import Architecture
from layerkit.spec.constants import DEFINE, NAME

DIALECT = "https://json-schema.org/draft/2020-12/schema"
Schema = dict[str, Any]

_SCALARS = ("integer", "number", "boolean", "string")
_ANNOTATIONS = ("title", "description", "default", "examples")
_CONSTANT: Schema = {"$ref": "#/$defs/constant"}


def architecture_schema(catalogue: Catalogue) -> Schema:
    """Return the schema of the files that :func:`layerkit.load_architecture` reads with ``catalogue``.

    Each kind of component is one entry of ``$defs``, such as ``layer``, and each component another, ``layer.conv2d``.
    """
    schema = Architecture.model_json_schema(schema_generator=SchemaGenerator)
    definitions = schema.pop("$defs")
    definitions["Training"] = _with_constants(definitions["Training"])
    for kind in KINDS:
        components = catalogue.of_kind(kind)
        definitions[kind] = _any_of_kind(kind, components)
        for component in components:
            definitions |= _component(component)
    schema["properties"][DEFINE] = {
        "type": "object",
        "description": 'Named constants: after "width": 44, "$width" may stand for 44 in layers and training.',
        "propertyNames": {"pattern": f"^{NAME}$"},
        "additionalProperties": {"anyOf": [{"type": ["number", "boolean"]}, {"type": "string", "pattern": "^(?!\\$)"}]},
        "examples": [{"width": 44}],
    }
    definitions["constant"] = {
        "type": "string",
        "pattern": rf"^\${NAME}$",
        "description": f'A constant of "{DEFINE}", such as "$width".',
    }
    linked: Schema = _linked({"$schema": DIALECT, **schema, "$defs": definitions})
    return linked


def is_schema(tree: Any) -> bool:
    """Return whether a JSON value is a JSON Schema, which may be in the same folder as the files that refer to it."""
    return isinstance(tree, dict) and tree.get("$schema") == DIALECT


def component_schema(component: Component) -> Schema:
    """Return the schema of one component's spec, where the keyword ``REGISTERED`` marks fields that hold components."""
    schema: Schema = component.spec.model_json_schema(schema_generator=SchemaGenerator)
    return schema


def _any_of_kind(kind: KindName, components: list[Component]) -> Schema:
    return {
        "type": "object",
        "required": ["type"],
        # Redundant for validation; editors use it to offer these names, and to list them when the name is wrong.
        "properties": {"type": {"enum": [component.name for component in components]}},
        "oneOf": [{"$ref": f"#/$defs/{kind}.{component.name}"} for component in components],
        # With this, editors report mistakes of the component that "type" names, and not of all the others.
        "discriminator": {"propertyName": "type"},
        # Not a keyword of JSON Schema: VS Code offers these snippets where a component is allowed.
        "defaultSnippets": [
            {"label": component.name, "description": component.summary, "body": component.example}
            for component in components
        ],
    }


def _component(component: Component) -> dict[str, Schema]:
    """Return the entries of ``$defs`` for a component: its own, and those of the models inside its spec."""
    own = f"{component.kind}.{component.name}"
    schema = component.spec.model_json_schema(ref_template=f"#/$defs/{own}.{{model}}", schema_generator=SchemaGenerator)
    inner = schema.pop("$defs", {})
    if set(schema) == {"$ref"}:  # pydantic describes a spec that can contain itself by a reference
        schema = inner[schema["$ref"].removeprefix(f"#/$defs/{own}.")]
    for name, value in component.spec.example.items():
        schema["properties"][name].setdefault("examples", [value])
    schema = {**_with_constants(schema), "title": component.name, "$comment": f"from {component.distribution}"}
    return {own: schema} | {f"{own}.{name}": _with_constants(model) for name, model in inner.items()}


class SchemaGenerator(GenerateJsonSchema):
    """Pydantic's generator, without titles that repeat a field's name, and with the allowed keys of dictionaries."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def dict_schema(self, schema: Any) -> Schema:
        result = super().dict_schema(schema)
        if "patternProperties" in result:
            result.setdefault("additionalProperties", False)
        return result


def _linked(schema: Any) -> Any:
    """Return a schema with each ``REGISTERED`` keyword replaced by a reference to the components of that kind."""
    if isinstance(schema, list):
        return [_linked(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if REGISTERED in schema:
        beside = {keyword: value for keyword, value in schema.items() if keyword in _ANNOTATIONS}
        return {"$ref": f"#/$defs/{schema[REGISTERED]}", **beside}
    return {keyword: _linked(value) for keyword, value in schema.items()}


def _with_constants(schema: Schema) -> Schema:
    """Return an object's schema that also accepts a constant in place of each number, string, true or false."""
    if "properties" not in schema:
        return schema
    properties = {
        # The value of "type" decides which other fields there are, so it cannot be a constant.
        name: value if name == "type" else _admitting(value)
        for name, value in schema["properties"].items()
    }
    return {**schema, "properties": properties}


def _admitting(schema: Schema) -> Schema:
    """Return a schema that also accepts a constant in place of every scalar."""
    if "anyOf" in schema:
        members = [_admitting(member) if "anyOf" in member else _inside(member) for member in schema["anyOf"]]
        more = [_CONSTANT] if any(map(_is_scalar, members)) else []
        return {**schema, "anyOf": members + more}
    if _is_scalar(schema):
        beside = {keyword: value for keyword, value in schema.items() if keyword in _ANNOTATIONS}
        core = {keyword: value for keyword, value in schema.items() if keyword not in _ANNOTATIONS}
        return {**beside, "anyOf": [core, _CONSTANT]}
    return _inside(schema)


def _is_scalar(schema: Schema) -> bool:
    return schema.get("type") in _SCALARS or "enum" in schema or "const" in schema


def _inside(schema: Schema) -> Schema:
    """Return the schema of a list or an object that accepts constants inside."""
    result = _with_constants(schema)
    for keyword in ("items", "additionalProperties"):
        if isinstance(schema.get(keyword), dict):
            result = {**result, keyword: _admitting(schema[keyword])}
    if "prefixItems" in schema:
        result = {**result, "prefixItems": [_admitting(item) for item in schema["prefixItems"]]}
    return result
