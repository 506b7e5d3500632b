"""The conformance kit: what any layer, loss, optimizer, noise or schedule must do, tried on drawn examples.

Two lines in a plugin's tests run the whole battery over it::

    from layerkit.testing import parametrize_with_checks

    @parametrize_with_checks("layerkit-yours")
    def test_conformance(check):
        check()

:func:`run` is the same in plain Python, and ``layerkit conformance`` on the command line. The strategies that the cases
come from are in :mod:`layerkit.testing.cases.strategies`. All of it needs the extra ``layerkit[testing]``.
"""

from __future__ import annotations

from typing import Any

_HOMES = {
    "run": "layerkit.testing.running",
    "parametrize_with_checks": "layerkit.testing.parametrizing",
    "Report": "layerkit.testing.results",
    "Result": "layerkit.testing.results",
    "Failure": "layerkit.testing.results",
    "Check": "layerkit.testing.check",
    "BATTERY": "layerkit.testing.battery",
    "checks_for": "layerkit.testing.battery",
    "PROFILES": "layerkit.testing.profiles",
    "Profile": "layerkit.testing.profiles",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    # hypothesis loads a module of this package at every start, so nothing may be imported that is not asked for.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    from layerkit.environment import require_extra

    require_extra(
        "testing", "the conformance kit needs", "hypothesis", *(["pytest"] if name == "parametrize_with_checks" else [])
    )
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
