"""The conformance kit: what any layer, loss, optimizer, noise or schedule must do, tried on drawn examples.

For functions, modules and operators that know nothing of layerkit there are :func:`check_function` and its kin, which
need no extra::

    from layerkit.testing import check_function

    check_function(MyFunction, (torch.randn(4, 3), torch.randn(3)))

Two lines in a plugin's tests run the whole battery over it::

    from layerkit.testing import parametrize_with_checks

    @parametrize_with_checks("layerkit-yours")
    def test_conformance(check):
        check()

:func:`run` is the same in plain Python, and ``layerkit conformance`` on the command line. The strategies that the cases
come from are in :mod:`layerkit.testing.cases.strategies`. They need the extra ``layerkit[testing]``.
"""

from __future__ import annotations

from typing import Any

import lazy_loader

_import, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

_WITHOUT_EXTRA = {"Declaration", "Drawn", "GradientReport", "WrongGradients", "drawn"}
_WITHOUT_EXTRA |= {"check_function", "check_loss", "check_optimizer", "check_pair", "check_pullback"}


def __getattr__(name: str) -> Any:
    if name in __all__ and name not in _WITHOUT_EXTRA:
        # Not at the top, nor is anything else: hypothesis loads a module of this package at each of its starts.
        from layerkit.environment import require_extra

        needed = ["hypothesis", "jsonschema", *(["pytest"] if name == "parametrize_with_checks" else [])]
        require_extra("testing", "the conformance kit needs", *needed)
    return _import(name)
