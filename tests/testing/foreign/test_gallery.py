"""The kit catches every mistake of the galleries, finds nothing in their correct twins, and its programs show it."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest
from exhibits import Exhibit
from foreign_table import DOCUMENT, EXHIBITS, documented, gradcheck_catches, opcheck_catches, row

from layerkit.testing import Declaration
from layerkit.testing.foreign.running import CHECKS
from layerkit.testing.instruments.observation import settings_put_back

DISTINCT = {id(exhibit.right): exhibit for exhibit in EXHIBITS.values()}
"""Some exhibits share a twin."""


@pytest.mark.parametrize("exhibit", EXHIBITS.values(), ids=list(EXHIBITS))
def test_a_mistake_is_caught_as_documented_and_its_program_shows_it(exhibit: Exhibit) -> None:
    report = exhibit.report(exhibit.wrong)
    failed = [result.check for result in report.failures]
    assert exhibit.caught_by in failed, report.explain()
    line = next(line for line in documented().splitlines() if line.startswith(f"| {exhibit.name} |"))
    opcheck = line.split("|")[-4].strip()  # it takes seconds for each
    assert line == row(exhibit, failed, gradcheck_catches(exhibit), opcheck), (
        "run tests/testing/foreign/foreign_table.py"
    )
    if report.kind != "operator" and report.failures[0].script:  # which cannot be registered again in this process
        _shows_it(next(result.script for result in report.failures if result.check == exhibit.caught_by))


def _shows_it(script: str) -> None:
    assert "layerkit" not in script
    program: dict[str, Any] = {"__name__": "__main__"}
    with pytest.raises((AssertionError, RuntimeError, TypeError)), settings_put_back():
        exec(compile(script, "<script>", "exec"), program)
    assert "compare" in program or "differentiated" in program or "gradgradcheck" in script, "it ended before the end"


@pytest.mark.parametrize("exhibit", DISTINCT.values(), ids=[exhibit.name for exhibit in DISTINCT.values()])
def test_nothing_is_found_in_a_correct_twin(exhibit: Exhibit) -> None:
    report = exhibit.report(exhibit.right)
    assert not report.failures, report.explain()
    assert report.examples >= 40


def test_the_document_counts_what_is_there() -> None:
    rows = [[cell.strip() for cell in line.split("|")] for line in documented().splitlines()[4:]]
    caught = [sum(row[column] == "catches" for row in rows) for column in (-5, -4)]
    first = f"{len(rows)} mistakes: gradcheck catches {caught[0]}, opcheck {caught[1]}, the kit {len(EXHIBITS)}."
    assert documented().splitlines()[0] == first
    assert [row[1] for row in rows] == list(EXHIBITS)


def test_opcheck_says_what_is_documented(thorough: bool) -> None:
    if not thorough:
        pytest.skip("opcheck takes minutes; LAYERKIT_THOROUGH=1 asks it")
    for line in documented().splitlines()[4:]:
        name, *_, opcheck, _, _, _ = (cell.strip() for cell in line.split("|")[1:])
        assert opcheck == ("catches" if opcheck_catches(EXHIBITS[name]) else "misses"), name


def test_the_document_has_every_check_and_declaration() -> None:
    text = DOCUMENT.read_text()
    for check in CHECKS:
        assert f"| `{check.name}` | {check.statement} |" in text
    for name in (its.name for its in fields(Declaration)):
        assert f"`{name}`" in text


def test_every_check_that_needs_no_declaration_catches_something() -> None:
    named = {exhibit.caught_by for exhibit in EXHIBITS.values()}
    assert named == {check.name for check in CHECKS} - {"oracle", "compiled"}  # what is declared is tested beside
