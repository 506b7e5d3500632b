"""The fixture ``gradients``: the checks of layerkit, each counted in the test that makes it."""

from __future__ import annotations

import json
from typing import Any

import pytest

REPORT = "gradients.report"
"""The property of a test with one report, as JSON; pytest-xdist brings it from its workers."""


class Checker:
    """Makes checks, and notes what they found in the properties of a test.

    The methods take what the functions of the same names in ``layerkit.testing`` take, and return their reports. A
    failure fails the test.
    """

    def __init__(self, properties: list[tuple[str, object]]) -> None:
        self._properties = properties

    def check_function(self, *given: Any, **named: Any) -> Any:
        """Check a function, a Function of torch.autograd, a module or an operator."""
        return self._check("check_function", given, named)

    def check_loss(self, *given: Any, **named: Any) -> Any:
        """Check a loss, with respect to its prediction."""
        return self._check("check_loss", given, named)

    def check_pair(self, *given: Any, **named: Any) -> Any:
        """Check a forward and a backward."""
        return self._check("check_pair", given, named)

    def check_pullback(self, *given: Any, **named: Any) -> Any:
        """Check a forward that returns its pullback."""
        return self._check("check_pullback", given, named)

    def check_optimizer(self, *given: Any, **named: Any) -> Any:
        """Check an optimizer."""
        return self._check("check_optimizer", given, named)

    def _check(self, name: str, given: tuple[Any, ...], named: dict[str, Any]) -> Any:
        __tracebackhide__ = True
        import layerkit.testing

        report = getattr(layerkit.testing, name)(*given, raises=False, **named)
        self._note(report)
        if report.failures:
            pytest.fail(report.explain(), pytrace=False)
        return report

    def _note(self, report: Any) -> None:
        counts = report.counts()
        failed = [result.check for result in report.failures]
        data = {
            "name": report.name,
            "kind": report.kind,
            "checks": len(report.results),
            "examples": report.examples,
            "not applicable": counts["not applicable"],
            "known failures": counts["known failure"],
            "failed": failed,
        }
        self._properties += [
            ("gradients.function", report.name),
            ("gradients.checks", len(report.results)),
            ("gradients.passes_compared", report.examples),
            ("gradients.not_applicable", counts["not applicable"]),
            ("gradients.failed", ", ".join(failed)),
            (REPORT, json.dumps(data)),
        ]
