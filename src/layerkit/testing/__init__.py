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

import lazy_loader

_import, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


def __getattr__(name: str) -> Any:
    if name in __all__:
        # Not at the top, nor is anything else: hypothesis loads a module of this package at each of its starts.
        from layerkit.environment import require_extra

        needed = ["hypothesis", "jsonschema", *(["pytest"] if name == "parametrize_with_checks" else [])]
        require_extra("testing", "the conformance kit needs", *needed)
    return _import(name)
