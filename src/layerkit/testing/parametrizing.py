"""The kit inside pytest: every check of every component is a test of its own."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from layerkit.registry.catalogue import Catalogue
from layerkit.testing.cases.examples import Examples
from layerkit.testing.cases.subjects import subjects
from layerkit.testing.check import Check
from layerkit.testing.engine import run_check
from layerkit.testing.profiles import Profile, profile_named
from layerkit.testing.results import Result, expected_or_not
from layerkit.testing.running import KnownFailures, check_known_failures, known_reason, pairs_of


@dataclass(frozen=True)
class CheckOfComponent:
    """One check of one component, to be called by a test."""

    check: Check
    examples: Examples
    known: str = ""
    alone: bool = False

    def result(self) -> Result:
        """Return what the check says."""
        result = run_check(self.check, self.examples, alone=self.alone)
        return expected_or_not(result, self.known)

    def __call__(self) -> None:
        """Fail, skip with the reason why the check is not applicable, or pass."""
        result = self.result()
        if result.outcome == "failed":
            pytest.fail(result.explain(), pytrace=False)
        if result.outcome == "known failure":
            pytest.xfail(result.reason)
        if result.outcome == "not applicable":
            pytest.skip(result.reason)

    def __str__(self) -> str:
        return f"{self.examples.subject.name}-{self.check.name}"


def parametrize_with_checks(
    *what: object,
    only: str | None = None,
    profile: str | Profile = "default",
    seed: int = 0,
    known_failures: KnownFailures | None = None,
    catalogue: Catalogue | None = None,
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Make a test function run once for every check of every component.

    Args:
        what: names of distributions or components, spec classes or plugin modules; nothing for all that is registered.
        only: the name of a single check.
        profile: quick, default or thorough.
        seed: of the examples.
        known_failures: {check: reason}, or {component: {check: reason}}; strict: one that passes is a failure.
        catalogue: of what may stand in containers; by default everything installed.
    """
    chosen, profile = subjects(what, catalogue), profile_named(profile)
    check_known_failures(known_failures, chosen)
    examples = {id(subject): Examples(subject, profile, seed) for subject in chosen}
    tests = [
        CheckOfComponent(check, examples[id(subject)], known_reason(known_failures, subject, check), only is not None)
        for subject, check in pairs_of(chosen, only)
    ]

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        (argument, *_) = inspect.signature(function).parameters
        marked: Callable[..., None] = pytest.mark.parametrize(argument, tests, ids=str)(function)
        return marked

    return decorate
