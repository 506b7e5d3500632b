"""The catalogue, made from the loaded plugins: frozen tables of everything that a spec may name."""

from __future__ import annotations

import difflib
import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from types import MappingProxyType
from typing import Any, Literal, get_args, get_origin

from pydantic import ValidationError
from pydantic_core import PydanticCustomError

from layerkit.contracts.kinds import KINDS, Kind
from layerkit.contracts.specs import KindName, Spec, StrictModel
from layerkit.errors import PluginError
from layerkit.registry.discovery import (
    OWN_DISTRIBUTION,
    Plugin,
    PluginSettings,
    describe,
    discover,
    run_foreign,
)
from layerkit.wording import show


@dataclass(frozen=True)
class Component:
    """A registered component: its spec class and the package it came from."""

    kind: KindName
    name: str
    spec: type[Spec]
    distribution: str
    version: str

    @property
    def example(self) -> dict[str, Any]:
        """A typical use of the component, as it is written in a spec."""
        return {"type": self.name, **self.spec.example}

    @property
    def summary(self) -> str:
        """The first line of the spec's own docstring, not of an inherited one."""
        return (self.spec.__doc__ or "").strip().split("\n")[0]


@dataclass(frozen=True)
class Catalogue:
    """Everything that a spec may name, made once and passed on.

    Attributes:
        components: every component by (kind, name).
        plugins: every plugin that was found, with its status.
        requires: while a saved spec is read, the package that provided each component when it was saved, by kind and
            name.
    """

    components: Mapping[tuple[KindName, str], Component]
    plugins: tuple[Plugin, ...]
    requires: Mapping[KindName, Mapping[str, str]] = field(default_factory=dict)

    def of_kind(self, kind: KindName) -> list[Component]:
        """Return the components of one kind, sorted by name."""
        return [component for (its_kind, _), component in sorted(self.components.items()) if its_kind == kind]

    def names(self, kind: KindName) -> list[str]:
        """Return the names of one kind, sorted."""
        return [component.name for component in self.of_kind(kind)]

    def find(self, name: str) -> list[Component]:
        """Return the components of that name, of any kind."""
        return [component for (_, its_name), component in sorted(self.components.items()) if its_name == name]

    def failures(self) -> list[Plugin]:
        """Return the plugins that could not be loaded."""
        return [plugin for plugin in self.plugins if plugin.status == "failed"]

    def spec_class(self, kind: KindName, value: Mapping[str, Any]) -> type[Spec]:
        """Return the spec class that the ``type`` of a JSON object names.

        Raises:
            ValidationError: when ``type`` is missing or unknown. Its context has a function ``remedy`` that calls
                :meth:`remedy` later, because finding the nearest name is slow and not every mistake is shown.
        """
        if "type" not in value:
            raise _type_error("missing_type", f"missing; say which {kind} this is, such as {self._sample(kind)}", value)
        name = value["type"]
        if not isinstance(name, str):
            wanted = f"the name of {KINDS[kind].with_article} in quotes, such as {self._sample(kind)}"
            message = f"expected {wanted}, got {show(name)}"
            raise _type_error("component", message, name)
        component = self.components.get((kind, name))
        if component is None:
            # Not functools.partial, whose repr, which pydantic asks for, would include that of the whole catalogue.
            raise _type_error("component", f"unknown {kind} {show(name)}", name, lambda: self.remedy(kind, name))
        return component.spec

    def _sample(self, kind: KindName) -> str:
        return " or ".join(f'"{name}"' for name in self.names(kind)[:2])

    def remedy(self, kind: KindName, name: str) -> str:
        """Return what to do about a name that no loaded plugin provides; plugins that are not loaded are listed too."""
        text = self._nearest(kind, name)
        blocked = [plugin.name for plugin in self.plugins if plugin.status == "blocked"]
        if blocked:
            text += f". Left out by the settings: {', '.join(blocked)}"
        for plugin in self.failures():
            text += f". Not loaded: {plugin} ({plugin.reason})"
        return text

    def _nearest(self, kind: KindName, name: str) -> str:
        package = self.requires.get(kind, {}).get(name)
        if package is not None:
            was = package.replace("==", " ")
            return f'it was provided by {was} when this was saved; pip install "{package}"'
        near = difflib.get_close_matches(name[:80].lower(), self.names(kind), n=1)
        if near:
            return f'did you mean "{near[0]}"?'
        elsewhere = self.find(name)
        if elsewhere:
            return f"it is the name of {KINDS[elsewhere[0].kind].with_article}"
        return f"known are {', '.join(self.names(kind))}"


def _type_error(code: str, message: str, given: Any, remedy: Callable[[], str] | None = None) -> ValidationError:
    error = PydanticCustomError(code, "{message}", {"message": message, "remedy": remedy})
    return ValidationError.from_exception_data("component", [{"type": error, "loc": ("type",), "input": given}])


def installed(settings: PluginSettings | None = None) -> Catalogue:
    """Return the catalogue of everything that is installed.

    Args:
        settings: which plugins to load; by default what the environment variables say.

    Raises:
        PluginError: in strict mode, when any plugin fails.
    """
    return _installed(settings or PluginSettings.from_environment())


@cache
def _installed(settings: PluginSettings) -> Catalogue:
    catalogue = collect(discover(settings))
    if settings.strict and catalogue.failures():
        raise PluginError("; ".join(f"{plugin}: {plugin.reason}" for plugin in catalogue.failures()))
    return catalogue


def collect(plugins: Iterable[Plugin]) -> Catalogue:
    """Call the hooks of each loaded plugin and check what they return.

    A plugin with any mistake is left out entirely, and marked as failed with the reason.

    Raises:
        PluginError: when layerkit's own components are among those that fail.
    """
    components: dict[tuple[KindName, str], Component] = {}
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
    for plugin in seen:
        if plugin.status == "failed" and plugin.distribution == OWN_DISTRIBUTION:
            raise PluginError(f"this installation of layerkit is damaged: {plugin}: {plugin.reason}")
    return Catalogue(MappingProxyType(components), tuple(seen))


def _components(plugin: Plugin) -> dict[tuple[KindName, str], Component]:
    provided: dict[tuple[KindName, str], Component] = {}
    for kind in KINDS.values():
        for spec in _call(plugin, kind.hook):
            name = checked_name(spec, kind)
            if (kind.name, name) in provided:
                raise PluginError(f'{kind.hook} returns two components named "{name}"')
            provided[kind.name, name] = Component(kind.name, name, spec, plugin.distribution, plugin.version)
    return provided


def _call(plugin: Plugin, hook: str) -> list[Any]:
    if hook not in plugin.hooks:
        return []
    specs, fault, _ = run_foreign(plugin.hooks[hook])
    if fault is not None:
        raise PluginError(f"{hook} failed: {describe(fault)}") from fault
    if not isinstance(specs, list | tuple):
        raise PluginError(f"{hook} must return a list of Spec classes, not {type(specs).__name__}")
    return list(specs)


def checked_name(spec: Any, kind: Kind) -> str:
    """Return the name of a component that may stand in the catalogue.

    Raises:
        PluginError: when it may not; its whole plugin is not taken then.
    """
    base = kind.spec
    if not (isinstance(spec, type) and issubclass(spec, base)):
        shown = spec.__name__ if isinstance(spec, type) else repr(spec)[:80]
        raise PluginError(f"{kind.hook} must return classes derived from layerkit.{base.__name__}, not {shown}")
    if inspect.isabstract(spec):
        missing = ", ".join(sorted(spec.__abstractmethods__))
        raise PluginError(f"{spec.__name__} does not define {missing}")
    try:
        spec.model_rebuild()
        spec.model_json_schema()
    except Exception as error:
        raise PluginError(f"{spec.__name__} cannot be described as a JSON Schema: {describe(error)}") from error
    type_ = spec.model_fields.get("type")
    if type_ is None or get_origin(type_.annotation) is not Literal or not type_.is_required():
        raise PluginError(f'{spec.__name__} needs a field type: Literal["its_name"], without a default')
    names = get_args(type_.annotation)
    if len(names) != 1 or not isinstance(names[0], str) or not re.fullmatch(r"[a-z][a-z0-9_]{0,63}", names[0]):
        shown = ", ".join(repr(name)[:80] for name in names)
        raise PluginError(f"{spec.__name__}: its type must be one name of small letters, digits and _, not {shown}")
    hiding = [name for name in spec.model_fields if hasattr(base, name)]
    if hiding:
        hidden = f"layerkit.{base.__name__}.{hiding[0]}"
        raise PluginError(f"{spec.__name__}: its field {hiding[0]} hides {hidden}; rename it")
    unknown = [str(key) for key in spec.example if key not in spec.model_fields]
    if unknown:
        raise PluginError(f"{spec.__name__}: its example has fields that the spec does not have: {', '.join(unknown)}")
    for key, wanted in _STRICT.items():
        if spec.model_config.get(key) != wanted:
            raise PluginError(f"{spec.__name__}: its model_config must keep {key}={wanted!r}, as in layerkit.Spec")
    return names[0]


_STRICT = {key: StrictModel.model_config[key] for key in ("strict", "extra", "frozen", "allow_inf_nan")}


def _check_new(
    provided: Mapping[tuple[KindName, str], Component], known: Mapping[tuple[KindName, str], Component]
) -> None:
    for key, component in provided.items():
        if key in known:
            other = known[key]
            raise PluginError(
                f'the {component.kind} "{component.name}" is already provided by {other.distribution} {other.version}; '
                "uninstall one of the two or leave it out"
            )
