"""Who is tested: components by name, by package, by spec class, or all that is registered."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache
from types import MappingProxyType, ModuleType
from typing import Any

from jsonschema import Draft202012Validator

from layerkit.contracts.kinds import KINDS
from layerkit.contracts.specs import KindName, Spec
from layerkit.errors import PluginError, UserError
from layerkit.registry.catalogue import Catalogue, Component, installed

UNINSTALLED = "(not installed)"
"""The distribution of a component that was given as a class and that no plugin registers."""


@dataclass(frozen=True)
class Subject:
    """A component under test, and everything that may stand beside it in a spec."""

    component: Component
    catalogue: Catalogue

    @property
    def kind(self) -> KindName:
        return self.component.kind

    @property
    def name(self) -> str:
        return self.component.name

    @property
    def spec(self) -> type[Spec]:
        return self.component.spec

    @property
    def installed(self) -> bool:
        """Whether the command line knows the component too."""
        return self.component.distribution != UNINSTALLED

    @property
    def example(self) -> dict[str, Any]:
        """The configuration of a typical use, as JSON has it, with lists for tuples; the type alone without one."""
        configuration: dict[str, Any] = json.loads(json.dumps(self.component.example))
        return configuration

    def read(self, configuration: dict[str, Any]) -> Spec:
        """Return the spec of a configuration, which is a JSON object.

        Raises:
            pydantic.ValidationError: when it is not valid.
        """
        # As JSON text, as files are read: only of that pydantic takes a list for a tuple and yet converts nothing else.
        return self.spec.model_validate_json(json.dumps(configuration), context=self.catalogue)

    def fits_schema(self, configuration: dict[str, Any]) -> bool:
        """Return whether a configuration is valid against the spec's JSON Schema, which pydantic has no part in.

        In place of a component inside it the schema takes any object.
        """
        return _validator(self.spec).is_valid(configuration)


@cache
def schema_of(spec: type[Spec]) -> dict[str, Any]:
    """Return the JSON Schema of a spec's configurations."""
    return spec.model_json_schema()


@cache
def _validator(spec: type[Spec]) -> Draft202012Validator:
    return Draft202012Validator(schema_of(spec))


def subjects(what: Iterable[object] = (), catalogue: Catalogue | None = None) -> tuple[Subject, ...]:
    """Return the components that ``what`` names; all that are registered when it names none.

    Args:
        what: names of components or of distributions, spec classes, plugin modules with hooks, or iterables of these.
        catalogue: of the components that may stand in containers; by default everything installed.

    Raises:
        UserError: for a name that is neither of a component nor of a distribution.
        PluginError: for a plugin that could not be loaded.
    """
    catalogue = catalogue or installed()
    items = list(_flat(what))
    if not items:
        return tuple(Subject(component, catalogue) for _, component in sorted(catalogue.components.items()))
    strangers = [_stranger(item, catalogue) for item in items if not isinstance(item, str)]
    merged = dict(catalogue.components) | {(component.kind, component.name): component for component in strangers}
    catalogue = replace(catalogue, components=MappingProxyType(merged))
    found: list[Component] = list(strangers)
    for item in items:
        if isinstance(item, str):
            found += catalogue.find(item) or _of_distribution(item, catalogue)
    unique = {(component.kind, component.name): component for component in found}
    return tuple(Subject(component, catalogue) for component in unique.values())


def _flat(what: Iterable[object]) -> Iterable[object]:
    for item in what:
        if isinstance(item, list | tuple | set | frozenset):
            yield from _flat(item)
        elif isinstance(item, ModuleType):
            hooks = [kind.hook for kind in KINDS.values()]
            specs = [spec for hook in hooks if hasattr(item, hook) for spec in getattr(item, hook)()]
            if not specs:
                raise UserError(f"the module {item.__name__} has none of the hooks {', '.join(hooks)}")
            yield from specs
        else:
            yield item


def _stranger(spec: object, catalogue: Catalogue) -> Component:
    if not (isinstance(spec, type) and issubclass(spec, Spec)):
        raise UserError(f"expected a name, a Spec class or a plugin module, not {spec!r}")
    known = catalogue.components.get((spec.kind, spec.name()))
    return known if known and known.spec is spec else Component(spec.kind, spec.name(), spec, UNINSTALLED, "")


def of_distribution(name: str, catalogue: Catalogue | None = None) -> tuple[Subject, ...]:
    """Return the components of one package.

    Raises:
        PluginError: when the package could not be loaded.
        UserError: when there is no such package.
    """
    catalogue = catalogue or installed()
    return tuple(Subject(component, catalogue) for component in _of_distribution(name, catalogue))


def _of_distribution(name: str, catalogue: Catalogue) -> list[Component]:
    def plain(text: str) -> str:
        return text.lower().replace("_", "-").replace(".", "-")

    wanted = plain(name)
    plugins = [its for its in catalogue.plugins if wanted in (plain(its.distribution), plain(its.name))]
    for plugin in plugins:
        if plugin.status != "loaded":
            raise PluginError(f"{plugin} is {plugin.status}: {plugin.reason}")
    if not plugins:
        known = sorted({component.name for component in catalogue.components.values()})
        known += sorted({plugin.distribution for plugin in catalogue.plugins})
        near = difflib.get_close_matches(name, known, n=1)
        hint = f'did you mean "{near[0]}"?' if near else f"known are {', '.join(known)}"
        raise UserError(f'no component and no installed plugin is called "{name}"; {hint}')
    keys = [key for plugin in plugins for key in plugin.components]
    return [catalogue.components[key] for key in sorted(keys)]
