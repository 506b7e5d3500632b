"""From entry points to loaded plugins: sorted, one by one, each failure kept apart and remembered.

``pluggy.PluginManager.load_setuptools_entrypoints`` is not used: there one failing import ends the whole load, the
order is that of the directories, and a second entry point of one name is skipped in silence.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass, field, replace
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Literal

import pluggy
from packaging.requirements import InvalidRequirement, Requirement

from layerkit import hookspecs
from layerkit.version import __version__

OWN_DISTRIBUTION = "layerkit"


@dataclass(frozen=True)
class PluginSettings:
    """Which plugins to load.

    Attributes:
        enabled: False loads the built-in components alone.
        without: names of distributions or entry points that are not even imported.
        strict: any plugin that fails is an error instead of a note.
    """

    enabled: bool = True
    without: frozenset[str] = frozenset()
    strict: bool = False

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> PluginSettings:
        """Read ``LAYERKIT_NO_PLUGINS``, ``LAYERKIT_WITHOUT`` (names with commas) and ``LAYERKIT_STRICT_PLUGINS``."""
        environment = os.environ if environment is None else environment
        names = environment.get("LAYERKIT_WITHOUT", "").split(",")
        return cls(
            enabled=environment.get("LAYERKIT_NO_PLUGINS", "") in ("", "0"),
            without=frozenset(name.strip() for name in names if name.strip()),
            strict=environment.get("LAYERKIT_STRICT_PLUGINS", "") not in ("", "0"),
        )


@dataclass(frozen=True)
class Plugin:
    """One entry point of the group ``layerkit``, and what became of it.

    Attributes:
        name: of the entry point.
        distribution, version: of the package that declares it.
        module: what the entry point names.
        status: ``loaded``, ``failed``, or ``blocked`` where the settings leave it out.
        reason: why it is not loaded.
        components: (kind, name) of everything it provides.
        hooks: its implementation of each hook, by name.
    """

    name: str
    distribution: str
    version: str
    module: str
    status: Literal["loaded", "failed", "blocked"] = "loaded"
    reason: str = ""
    components: tuple[tuple[str, str], ...] = ()
    hooks: Mapping[str, Callable[[], Any]] = field(default_factory=dict, repr=False)

    def failed(self, reason: str) -> Plugin:
        """Return the plugin as one that could not be used."""
        return replace(self, status="failed", reason=reason, components=(), hooks={})

    def __str__(self) -> str:
        return f'plugin "{self.name}" of {self.distribution} {self.version}'


def discover(settings: PluginSettings, found: Iterable[EntryPoint] | None = None) -> tuple[Plugin, ...]:
    """Load the plugins of this environment, layerkit's own first and the others by name of distribution.

    Args:
        settings: which plugins to load.
        found: the entry points; by default those of the group ``layerkit`` that are installed.
    """
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    plugins: list[Plugin] = []
    for entry_point in sorted(entry_points(group=hookspecs.PROJECT) if found is None else found, key=_order):
        plugin = Plugin(entry_point.name, *_distribution(entry_point), entry_point.value)
        namesake = next((other for other in plugins if other.name == plugin.name), None)
        if _blocked(plugin, settings):
            plugins.append(replace(plugin, status="blocked", reason="left out by the settings"))
        elif namesake:
            plugins.append(plugin.failed(f"{namesake.distribution} has an entry point of the same name"))
        else:
            plugins.append(_load(plugin, entry_point, manager))
    return tuple(plugins)


def _order(entry_point: EntryPoint) -> tuple[bool, str, str, str]:
    distribution, _ = _distribution(entry_point)
    return distribution != OWN_DISTRIBUTION, distribution.lower(), entry_point.name, entry_point.value


def _distribution(entry_point: EntryPoint) -> tuple[str, str]:
    dist = entry_point.dist
    return (dist.name, dist.version) if dist else ("unknown", "?")


def _blocked(plugin: Plugin, settings: PluginSettings) -> bool:
    if plugin.distribution == OWN_DISTRIBUTION:
        return False
    return not settings.enabled or bool(settings.without & {plugin.name, plugin.distribution})


def _load(plugin: Plugin, entry_point: EntryPoint, manager: pluggy.PluginManager) -> Plugin:
    too_new = _needs_other_layerkit(entry_point)
    if too_new:
        return plugin.failed(too_new)
    try:
        # What a plugin prints while it is imported would end up among the output that programs read.
        with redirect_stdout(io.StringIO()):
            implementation = entry_point.load()
    except (Exception, SystemExit) as error:
        return plugin.failed(f"importing {plugin.module} failed: {describe(error)}")
    try:
        manager.register(implementation, plugin.name)
        manager.check_pending()
    except (Exception, SystemExit) as error:
        # pluggy leaves half of the hooks behind.
        if manager.get_plugin(plugin.name) is not None:
            manager.unregister(name=plugin.name)
        return plugin.failed(f"its hooks are not valid: {describe(error)}")
    hooks = {
        caller.name: hook.function
        for caller in manager.get_hookcallers(implementation) or ()
        for hook in caller.get_hookimpls()
        if hook.plugin is implementation
    }
    if not hooks:
        return plugin.failed(f"{plugin.module} has no function marked with @layerkit.hookimpl")
    return replace(plugin, hooks=hooks)


def _needs_other_layerkit(entry_point: EntryPoint) -> str:
    """Return a sentence if the plugin's package asks for another version of layerkit than this one."""
    for text in (entry_point.dist.requires if entry_point.dist else None) or ():
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            continue
        if requirement.name.lower() == OWN_DISTRIBUTION and not requirement.marker:
            if not requirement.specifier.contains(__version__, prereleases=True):
                return f"it needs layerkit{requirement.specifier}, and this is layerkit {__version__}"
    return ""


def describe(error: BaseException) -> str:
    """Return an exception as one line: its kind and the first line of what it says."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
