"""The hooks that a plugin may implement, one for each kind of component, and the decorator for implementations."""

from __future__ import annotations

from collections.abc import Callable

import pluggy

from layerkit.contracts.kinds import KINDS, Kind
from layerkit.contracts.specs import Spec

PROJECT = "layerkit"
"""The name of the pluggy project and of the entry-point group."""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


def _hook(kind: Kind) -> Callable[[], list[type[Spec]]]:
    def hook() -> list[type[Spec]]:
        raise NotImplementedError("pluggy calls the plugins' functions, never the specification of a hook")

    hook.__name__ = kind.hook
    hook.__doc__ = f"Return the specs of the {kind.plural} that this plugin provides."
    return hookspec(hook)


HOOKS = type("Hooks", (), {kind.hook: staticmethod(_hook(kind)) for kind in KINDS.values()})
"""The specifications of all hooks by name, for ``pluggy.PluginManager.add_hookspecs``."""
