"""The components that come with layerkit, registered through the same hooks as those of any other package.

Each package below has one kind of component, and everything that it exports is registered. To add a component, write
its file and import its classes in the package's ``__init__.py``; this line also makes them public, for example as
``layerkit.layers.Conv2d``.
"""

from __future__ import annotations

from types import ModuleType

from layerkit.builtin import layers, losses, noises, optimizers, schedules
from layerkit.contracts.hookspecs import hookimpl
from layerkit.contracts.specs import Spec


def _exported(package: ModuleType) -> list[type[Spec]]:
    return [thing for thing in vars(package).values() if isinstance(thing, type) and issubclass(thing, Spec)]


@hookimpl
def layerkit_layers() -> list[type[Spec]]:
    """Return the specs of the built-in layers."""
    return _exported(layers)


@hookimpl
def layerkit_losses() -> list[type[Spec]]:
    """Return the specs of the built-in losses."""
    return _exported(losses)


@hookimpl
def layerkit_optimizers() -> list[type[Spec]]:
    """Return the specs of the built-in optimizers."""
    return _exported(optimizers)


@hookimpl
def layerkit_noises() -> list[type[Spec]]:
    """Return the specs of the built-in noises."""
    return _exported(noises)


@hookimpl
def layerkit_schedules() -> list[type[Spec]]:
    """Return the specs of the built-in schedules."""
    return _exported(schedules)
