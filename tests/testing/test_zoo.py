"""The kit catches every broken component by the check that is named for it, and finds nothing in the correct ones."""

from __future__ import annotations

import pytest
from matrix import ZOO, beginning, documented, failed, row
from zoo_building import spec_of
from zoo_correct import CORRECT_LAYERS, CORRECT_OTHERS
from zoo_honest import HONEST

from layerkit.testing import run
from layerkit.testing.battery import BATTERY
from layerkit.testing.profiles import Profile


@pytest.mark.parametrize("name", ZOO)
def test_a_broken_component_is_caught_by_the_check_named_for_it(name: str) -> None:
    animal = ZOO[name]
    assert failed(name, only=animal.caught_by), f"{animal.caught_by} does not catch {name}: {animal.__doc__}"


FEW = [*ZOO][::29]
"""The whole battery for an animal takes twenty times as long as the one check: in every run it is tried on these."""


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in FEW else pytest.mark.thorough) for name in ZOO]
)
def test_which_other_checks_catch_it_is_what_the_document_says(name: str) -> None:
    found = row(name)
    assert not found.missed
    assert found.text() in documented(), f"run python tests/testing/matrix.py: {found.text()}"


@pytest.mark.parametrize("component", [*CORRECT_LAYERS, *CORRECT_OTHERS], ids=lambda component: component.__name__)
def test_nothing_is_found_in_a_correct_component(component: type) -> None:
    report = run(spec_of(component))
    assert not report.failures, report.explain()
    assert {result.outcome for result in report.results} <= {"passed", "not applicable"}


@pytest.mark.parametrize("component", HONEST, ids=lambda component: component.__name__)
def test_nobody_is_accused_for_being_strange(component: type) -> None:
    report = run(spec_of(component), profile=Profile("a look at everything", examples=4, shrinks=0, large=1))
    assert not report.failures, report.explain()
    assert component.cleared_of in {result.check for result in report.results if result.outcome == "passed"}


def test_every_check_catches_something() -> None:
    named = {animal.caught_by for animal in ZOO.values()}
    assert named == {check.name for check in BATTERY}


def test_the_document_has_every_animal_and_every_check() -> None:
    lines = documented().splitlines()
    assert lines[0] == f"{len(ZOO)} components with a mistake each, and {len(BATTERY)} checks."
    first_cells = [line.split("|")[1].strip() for line in lines if line.startswith("| ")]
    assert first_cells == ["check", *(check.name for check in BATTERY), "component", *ZOO]
    last_lines = dict(zip(ZOO, lines[-len(ZOO) :], strict=True))
    others = {name: line for name, line in last_lines.items() if not line.startswith(beginning(name))}
    assert not others, "run python tests/testing/matrix.py"


def test_the_statements_in_the_document_are_those_of_the_checks() -> None:
    text = documented()
    for check in BATTERY:
        assert check.statement.replace("|", "\\|") in text
