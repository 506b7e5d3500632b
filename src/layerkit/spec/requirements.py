"""Records the package of each component that an architecture names, so that messages can say what to install."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError

from layerkit.contracts.specs import Spec
from layerkit.registry.catalogue import Catalogue
from layerkit.spec.architecture import Architecture, Requires


def with_requirements(architecture: Architecture, catalogue: Catalogue) -> Architecture:
    """Return the architecture with ``requires`` filled in from the packages that are installed now."""
    requires: Requires = {}
    for kind, name in sorted({(spec.kind, spec.name()) for spec in _specs(architecture)}):
        component = catalogue.components.get((kind, name))
        if component is None:
            continue
        package = f"{component.distribution}=={component.version}"
        if readable_requirements({kind: {name: package}}):  # a package without a version, for example, is left out
            requires.setdefault(kind, {})[name] = package
    return architecture.model_copy(update={"requires": requires})


def readable_requirements(given: Any) -> Requires:
    """Return the ``requires`` block of an untrusted file, or ``{}`` if it is not valid."""
    try:
        return _REQUIRES.validate_python(given, strict=True)
    except ValidationError:
        return {}


_REQUIRES = TypeAdapter(Requires)


def _specs(value: Any) -> Iterator[Spec]:
    """Yield every spec inside a value, at any depth."""
    if isinstance(value, Spec):
        yield value
    if isinstance(value, BaseModel):
        inner: Iterable[Any] = (getattr(value, name) for name in type(value).model_fields)
    elif isinstance(value, dict):
        inner = value.values()
    elif isinstance(value, list | tuple):
        inner = value
    else:
        return
    for item in inner:
        yield from _specs(item)
