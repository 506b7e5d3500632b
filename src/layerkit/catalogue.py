"""From loaded plugins to the frozen tables of everything a spec may name."""

from __future__ import annotations

import difflib
import inspect
import io
import re
from collections.abc import Iterable, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from functools import cache
from types import MappingProxyType
from typing import Any, Literal, get_args, get_origin

from pydantic import ValidationError
from pydantic_core import PydanticCustomError

from layerkit.component import KINDS, Kind, Spec
from layerkit.discovery import OWN_DISTRIBUTION, Plugin, PluginSettings, describe, discover
from layerkit.errors import PluginError

HOOKS: dict[str, Kind] = {
    "layerkit_layers": "layer",
    "layerkit_losses": "loss",
    "layerkit_optimizers": "optimizer",
    "layerkit_noises": "noise",
}


@dataclass(frozen=True)
class Component:
    """A registered component: its spec class and the package it came from."""

    kind: Kind
    name: str
    spec: type[Spec]
    distribution: str
    version: str


@dataclass(frozen=True)
class Catalogue:
    """Everything that a spec may name, made once and passed on.

    Attributes:
        components: by kind and name.
        plugins: every plugin that was found, with its status.
    """

    components: Mapping[tuple[Kind, str], Component]
    plugins: tuple[Plugin, ...]

    def names(self, kind: Kind) -> list[str]:
        """Return the names of one kind, sorted."""
        return sorted(name for its_kind, name in self.components if its_kind == kind)

    def find(self, name: str) -> list[Component]:
        """Return the components of that name, of any kind."""
        return [component for (_, its_name), component in sorted(self.components.items()) if its_name == name]

    def failures(self) -> list[Plugin]:
        """Return the plugins that could not be loaded."""
        return [plugin for plugin in self.plugins if plugin.status == "failed"]

    def spec_class(self, kind: Kind, value: Mapping[str, Any]) -> type[Spec]:
        """Return the spec class that the ``type`` of a JSON object names.

        Raises:
            ValidationError: when ``type`` is missing or names nothing; with the nearest names and failed plugins.
        """
        if "type" not in value:
            raise _type_error("missing", f"missing; say which {kind} this is, such as {self._sample(kind)}", value)
        name = value["type"]
        component = self.components.get((kind, name)) if isinstance(name, str) else None
        if component is None:
            raise _type_error("unknown_component", self._unknown(kind, name), name)
        return component.spec

    def _sample(self, kind: Kind) -> str:
        return " or ".join(f'"{name}"' for name in self.names(kind)[:2])

    def _unknown(self, kind: Kind, name: Any) -> str:
        if not isinstance(name, str):
            return f"expected the name of a {kind} in quotes, such as {self._sample(kind)}"
        near = difflib.get_close_matches(name.lower(), self.names(kind), n=1)
        text = f'unknown {kind} "{name[:80]}"'
        text += f'; did you mean "{near[0]}"?' if near else f"; known are {', '.join(self.names(kind))}"
        elsewhere = [component.kind for component in self.find(name)]
        if elsewhere:
            text += f' ("{name}" is the name of a {elsewhere[0]})'
        for plugin in self.failures():
            text += f". Not loaded: {plugin} ({plugin.reason})"
        return text


def _type_error(code: str, message: str, given: Any) -> ValidationError:
    error = PydanticCustomError(code, "{message}", {"message": message})
    return ValidationError.from_exception_data("component", [{"type": error, "loc": ("type",), "input": given}])


@cache
def installed(settings: PluginSettings | None = None) -> Catalogue:
    """Return the catalogue of this environment; with no settings, as the environment variables say.

    Raises:
        PluginError: in strict mode, when any plugin fails.
    """
    settings = settings or PluginSettings.from_environment()
    catalogue = collect(discover(settings))
    if settings.strict and catalogue.failures():
        raise PluginError("; ".join(f"{plugin}: {plugin.reason}" for plugin in catalogue.failures()))
    return catalogue


def collect(plugins: Iterable[Plugin]) -> Catalogue:
    """Call the hooks of each loaded plugin and check what they return; a plugin is taken whole or not at all."""
    components: dict[tuple[Kind, str], Component] = {}
    seen: list[Plugin] = []
    for plugin in plugins:
        if plugin.status != "loaded":
            seen.append(plugin)
            continue
        try:
            provided = _components(plugin)
            _check_new(provided, components)
        except PluginError as error:
            plugin = plugin.failed(str(error))
            provided = {}
        components.update(provided)
        seen.append(replace(plugin, components=tuple(provided)))
    broken = next((plugin for plugin in seen if plugin.status == "failed" and plugin.distribution == OWN_DISTRIBUTION), None)
    if broken:
        raise PluginError(f"this installation of layerkit is damaged: {broken}: {broken.reason}")
    return Catalogue(MappingProxyType(components), tuple(seen))


def _components(plugin: Plugin) -> dict[tuple[Kind, str], Component]:
    provided: dict[tuple[Kind, str], Component] = {}
    for hook, kind in HOOKS.items():
        for spec in _call(plugin, hook):
            name = _checked_name(spec, kind, hook)
            if (kind, name) in provided:
                raise PluginError(f'{hook} returns two components named "{name}"')
            provided[kind, name] = Component(kind, name, spec, plugin.distribution, plugin.version)
    return provided


def _call(plugin: Plugin, hook: str) -> list[Any]:
    if hook not in plugin.hooks:
        return []
    try:
        with redirect_stdout(io.StringIO()):
            specs = plugin.hooks[hook]()
    except (Exception, SystemExit) as error:
        raise PluginError(f"{hook} failed: {describe(error)}") from error
    if not isinstance(specs, list | tuple):
        raise PluginError(f"{hook} must return a list of Spec classes, not {type(specs).__name__}")
    return list(specs)


def _checked_name(spec: Any, kind: Kind, hook: str) -> str:
    base = KINDS[kind]
    if not (isinstance(spec, type) and issubclass(spec, base)):
        shown = spec.__name__ if isinstance(spec, type) else repr(spec)[:80]
        raise PluginError(f"{hook} must return classes derived from layerkit.{base.__name__}, not {shown}")
    if inspect.isabstract(spec):
        missing = ", ".join(sorted(spec.__abstractmethods__))
        raise PluginError(f"{spec.__name__} does not define {missing}")
    field = spec.model_fields.get("type")
    if field is None or get_origin(field.annotation) is not Literal or not field.is_required():
        raise PluginError(f'{spec.__name__} needs a field type: Literal["its_name"], without a default')
    values = get_args(field.annotation)
    if len(values) != 1 or not re.fullmatch(r"[a-z][a-z0-9_]{0,63}", str(values[0])):
        raise PluginError(f"{spec.__name__}: its type must be one name of small letters, digits and _, not {values}")
    try:
        spec.model_json_schema()
    except Exception as error:
        raise PluginError(f"{spec.__name__} cannot be described as a JSON Schema: {describe(error)}") from error
    return values[0]


def _check_new(provided: Mapping[tuple[Kind, str], Component], known: Mapping[tuple[Kind, str], Component]) -> None:
    for key, component in provided.items():
        if key in known:
            other = known[key]
            raise PluginError(
                f'the {component.kind} "{component.name}" is already provided by {other.distribution} {other.version}; '
                "uninstall one of the two or leave it out"
            )
