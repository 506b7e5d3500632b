"""The reference: a Markdown page for every component of a catalogue, made from its spec, and a page for the hooks."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator
from typing import Any

from pydantic_core import to_jsonable_python

from layerkit.contracts.hookspecs import HOOKS, PROJECT
from layerkit.contracts.kinds import KINDS
from layerkit.contracts.registered import REGISTERED
from layerkit.registry.catalogue import Catalogue, Component
from layerkit.spec.schema import Schema, component_schema

_MADE = "<!-- Made from the specs by `layerkit docs`; change the spec, not this page. -->"


def reference_pages(catalogue: Catalogue) -> dict[str, str]:
    """Return the pages by file name: ``index.md``, ``hooks.md`` and one a component, such as ``layer-conv2d.md``."""
    components = [component for kind in KINDS for component in catalogue.of_kind(kind)]
    pages = {"index.md": _index(catalogue), "hooks.md": _hooks()}
    return pages | {_file_name(component): _page(component) for component in components}


def _file_name(component: Component) -> str:
    return f"{component.kind}-{component.name}.md"


def _index(catalogue: Catalogue) -> str:
    lines = [_MADE, "# Reference", "", "What an architecture file may name. Plugins add to it: see [hooks](hooks.md)."]
    for kind in KINDS.values():
        lines += ["", f"## {kind.heading}", ""]
        for component in catalogue.of_kind(kind.name):
            lines.append(f"- [`{component.name}`]({_file_name(component)}): {component.summary}")
    return "\n".join(lines) + "\n"


def _hooks() -> str:
    lines = [
        _MADE,
        "# Hooks",
        "",
        f"A plugin is a package with an entry point in the group `{PROJECT}` that names a module. The module "
        "implements one or more of these functions, each marked with `@layerkit.hookimpl`.",
    ]
    for kind in KINDS.values():
        base, summary = kind.spec.__name__, inspect.getdoc(getattr(HOOKS, kind.hook))
        lines += ["", f"## {kind.hook}", "", "```python", f"def {kind.hook}() -> list[type[{base}]]", "```", ""]
        lines.append(f"{summary} Each derives from `layerkit.{base}`.")
    return "\n".join(lines) + "\n"


def _page(component: Component) -> str:
    schema = component_schema(component)
    fields = schema.get("properties", {})
    required = schema.get("required", [])
    # Taken from the model, because the schema does not have the defaults that come from a default_factory.
    defaults = {
        info.alias or name: to_jsonable_python(info.get_default(call_default_factory=True))
        for name, info in component.spec.model_fields.items()
        if not info.is_required()
    }
    lines = [
        _MADE,
        f"# {component.name}",
        "",
        f"{KINDS[component.kind].with_article.capitalize()} of the package `{component.distribution}`.",
        "",
        inspect.cleandoc(component.spec.__doc__ or ""),
        "",
        "## Fields",
        "",
        "| Field | Value | Default | Meaning |",
        "|---|---|---|---|",
    ]
    for name, field in fields.items():
        default = "required" if name in required else f"`{_json(defaults.get(name))}`"
        cells = (f"`{name}`", _value(field, schema), default, field.get("description", ""))
        lines.append("| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in cells) + " |")
    example = json.dumps(component.example, ensure_ascii=False, indent=2)
    return "\n".join([*lines, "", "## Example", "", "```json", example, "```"]) + "\n"


def _value(field: Schema, schema: Schema) -> str:
    """Return the allowed values of a field as a phrase: ``whole number, 1 to 64``."""
    if REGISTERED in field:
        return f"any {field[REGISTERED]}"
    if "$ref" in field:
        return _value(schema["$defs"][field["$ref"].rsplit("/", 1)[-1]], schema)
    if "anyOf" in field or "oneOf" in field:
        return "; or ".join(_value(member, schema) for member in field.get("anyOf") or field["oneOf"])
    if "const" in field:
        return f"`{_json(field['const'])}`"
    if "enum" in field:
        return " or ".join(f"`{_json(value)}`" for value in field["enum"])
    return ", ".join([_NAMES.get(field.get("type", ""), "any value"), *_bounds(field, schema)])


_NAMES = {
    "integer": "whole number",
    "number": "number",
    "boolean": "`true` or `false`",
    "string": "text",
    "array": "list",
    "object": "object",
    "null": "`null`",
}


_RANGES = (("minimum", "maximum", ""), ("minItems", "maxItems", " items"), ("minLength", "maxLength", " characters"))


def _bounds(field: Schema, schema: Schema) -> Iterator[str]:
    """Yield the constraints of a value: the range of a number, the length and the items of a list."""
    for low, high, unit in _RANGES:
        if low in field and field.get(low) == field.get(high):
            yield f"{_json(field[low])}{unit}"
        elif low in field and high in field:
            yield f"{_json(field[low])} to {_json(field[high])}{unit}"
        elif low in field:
            yield f"at least {_json(field[low])}{unit}"
        elif high in field:
            yield f"at most {_json(field[high])}{unit}"
    if "exclusiveMinimum" in field:
        yield f"more than {_json(field['exclusiveMinimum'])}"
    if "exclusiveMaximum" in field:
        yield f"less than {_json(field['exclusiveMaximum'])}"
    if isinstance(field.get("items"), dict):
        yield f"each a {_value(field['items'], schema)}"


def _json(value: Any) -> str:
    return json.dumps(int(value) if isinstance(value, float) and value.is_integer() else value, ensure_ascii=False)
