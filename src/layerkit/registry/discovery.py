"""Loads plugins from entry points, one by one in a fixed order; a failure affects its plugin only and is recorded.

``pluggy.PluginManager.load_setuptools_entrypoints`` is not used: there one failing import ends the whole load, the
order is that of the directories, and a second entry point of the same name is skipped silently.
"""

from __future__ import annotations

import difflib
import importlib.metadata
import io
import os
import traceback
from collections.abc import Callable, Iterable, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass, field, replace
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Literal

import pluggy
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from layerkit.contracts.hookspecs import HOOKS, PROJECT
from layerkit.contracts.kinds import KINDS
from layerkit.contracts.specs import KindName
from layerkit.environment import __version__
from layerkit.wording import show

OWN_DISTRIBUTION = "layerkit"


@dataclass(frozen=True)
class PluginSettings:
    """Which plugins to load.

    Attributes:
        enabled: False loads only the built-in components.
        without: names of distributions or entry points that are left out without being imported.
        strict: whether a plugin that fails is an error; otherwise it is only reported.
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
    """One entry point of the group ``layerkit``, and the result of loading it.

    Attributes:
        name: the name of the entry point.
        distribution: the package that declares it.
        version: the version of that package.
        module: the module that the entry point names.
        status: ``loaded``, ``failed``, or ``blocked`` when the settings leave it out.
        reason: why it is not loaded.
        note: a problem of a loaded plugin that its author should correct.
        components: the kind and name of everything that it provides.
        hooks: its implementation of each hook, by the hook's name.
    """

    name: str
    distribution: str
    version: str
    module: str
    status: Literal["loaded", "failed", "blocked"] = "loaded"
    reason: str = ""
    note: str = ""
    components: tuple[tuple[KindName, str], ...] = ()
    hooks: Mapping[str, Callable[[], Any]] = field(default_factory=dict, repr=False)

    def failed(self, reason: str) -> Plugin:
        """Return the plugin marked as failed, with the reason."""
        return replace(self, status="failed", reason=reason, components=(), hooks={})

    def __str__(self) -> str:
        return f'plugin "{self.name}" of {self.distribution} {self.version}'


def discover(settings: PluginSettings, found: Iterable[EntryPoint] | None = None) -> tuple[Plugin, ...]:
    """Load the plugins of this environment, layerkit's own first and the others by name of distribution.

    Args:
        settings: which plugins to load.
        found: the entry points; by default those of the group ``layerkit`` that are installed.
    """
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(HOOKS)
    plugins: list[Plugin] = []
    for entry_point in sorted(entry_points(group=PROJECT) if found is None else found, key=_order):
        plugin = Plugin(entry_point.name, *_distribution(entry_point), entry_point.value)
        namesake = next((other for other in plugins if other.name == plugin.name and other.status != "blocked"), None)
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
    """Return the name and version of the package that declares an entry point."""
    if entry_point.dist is None:
        return "unknown", "?"
    try:
        metadata = entry_point.dist.metadata
        return metadata["Name"] or "unknown", metadata["Version"] or "?"
    except Exception:  # METADATA is missing or damaged, which can lead to any error in importlib.metadata
        return "unknown", "?"


def _blocked(plugin: Plugin, settings: PluginSettings) -> bool:
    if plugin.distribution == OWN_DISTRIBUTION:
        return False
    names = {canonicalize_name(plugin.name), canonicalize_name(plugin.distribution)}
    return not settings.enabled or any(canonicalize_name(name) in names for name in settings.without)


def _load(plugin: Plugin, entry_point: EntryPoint, manager: pluggy.PluginManager) -> Plugin:
    mismatch = _needs_other_layerkit(entry_point)
    if mismatch:
        return plugin.failed(mismatch)
    implementation, fault, printed = run_foreign(entry_point.load)
    if fault is not None:
        return plugin.failed(f"importing {plugin.module} failed: {describe(fault)}")
    if printed.strip():
        plugin = replace(plugin, note=f"it prints while it is imported: {show(printed.strip())}")
    namesake = manager.get_name(implementation)
    if namesake is not None:
        return plugin.failed(f'{plugin.module} is already the plugin "{namesake}"')
    _, fault, _ = run_foreign(lambda: manager.register(implementation, plugin.name))
    callers = manager.get_hookcallers(implementation) or []
    reason = f"its hooks are not valid: {describe(fault)}" if fault is not None else _fault(plugin, callers)
    if reason:
        # pluggy may leave half of the hooks behind.
        if manager.has_plugin(plugin.name):
            manager.unregister(name=plugin.name)
        return plugin.failed(reason)
    hooks = {
        caller.name: hook.function
        for caller in callers
        for hook in caller.get_hookimpls()
        if hook.plugin is implementation
    }
    return replace(plugin, hooks=hooks)


def _fault(plugin: Plugin, callers: list[pluggy.HookCaller]) -> str:
    """Return what is wrong with a plugin's hooks: none, an unknown one, or one twice; "" if nothing is wrong."""
    if not callers:
        return f"{plugin.module} has no function marked with @layerkit.hookimpl"
    known = [kind.hook for kind in KINDS.values()]
    for caller in callers:
        if not caller.has_spec():
            near = difflib.get_close_matches(caller.name, known, n=1, cutoff=0)
            return f'unknown hook "{caller.name}"; did you mean "{near[0]}"?'
        if sum(hook.plugin_name == plugin.name for hook in caller.get_hookimpls()) > 1:
            return f"{plugin.module} has more than one {caller.name}"
    return ""


def run_foreign(call: Callable[[], Any]) -> tuple[Any, BaseException | None, str]:
    """Call a plugin's code and return its result, the exception that it raised, and the text that it printed.

    The text is kept away from standard output, which other programs may read. Every exception is caught except the
    user's interrupt: SystemExit, and the exceptions that test tools derive from BaseException, must not end the
    program.
    """
    printed = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors="replace", write_through=True)
    result, fault = None, None
    with redirect_stdout(printed):
        try:
            result = call()
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            fault = error
    return result, fault, "" if printed.closed else printed.buffer.getvalue().decode("utf-8", "replace")


def _needs_other_layerkit(entry_point: EntryPoint) -> str:
    """Return that the plugin's package requires another version of layerkit, if it does; "" otherwise."""
    if entry_point.dist is None:
        return ""
    try:
        requirements = [Requirement(text) for text in entry_point.dist.requires or ()]
    except Exception:  # METADATA is missing or damaged, which is no reason to refuse the plugin
        return ""
    for requirement in requirements:
        applies = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        if canonicalize_name(requirement.name) != OWN_DISTRIBUTION or not applies:
            continue
        if not requirement.specifier.contains(__version__, prereleases=True):
            return f"it needs layerkit{requirement.specifier}, and this is layerkit {__version__}"
    return ""


def describe(error: BaseException) -> str:
    """Return an exception as one line: its class, its message, and the line of the plugin that raised it."""
    try:
        said = " ".join(str(error).split())
    except Exception:
        said = ""
    said = "".join(char if char.isprintable() else "?" for char in said[:400])
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith("<frozen")]
    inside = [frame for frame in frames if os.path.dirname(frame.filename) not in _NOT_THE_PLUGINS]
    where = f" ({os.path.basename(inside[-1].filename)}:{inside[-1].lineno})" if inside else ""
    return f"{type(error).__name__}{': ' if said else ''}{said}{where}"


_NOT_THE_PLUGINS = {
    os.path.dirname(file)
    for file in (__file__, pluggy.__file__, importlib.__file__, importlib.metadata.__file__)
    if file
}
