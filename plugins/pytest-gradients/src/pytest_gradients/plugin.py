"""What pytest loads at each of its starts: a marker, a fixture, an option, and the summary."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pytest_gradients.checker import Checker


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option for the table."""
    group = parser.getgroup("gradients", "checks of gradients")
    group.addoption(
        "--gradients-table",
        metavar="FILE",
        type=Path,
        help="write a table of all checks of gradients into FILE, as Markdown",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker."""
    config.addinivalue_line("markers", "gradients: checks gradients; tests with the fixture gradients have it too")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test that has the fixture, so that ``-m gradients`` chooses it."""
    for item in items:
        if "gradients" in getattr(item, "fixturenames", ()):
            item.add_marker("gradients")


@pytest.fixture
def gradients(request: pytest.FixtureRequest) -> Checker:
    """Checks of gradients that count, in the summary and in JUnit's properties."""
    from pytest_gradients.checker import Checker

    return Checker(request.node.user_properties)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Say how many checks and passes there really were, and write the table."""
    reports = list(_reports(terminalreporter))
    marked = any("gradients" in report.keywords for report in _calls(terminalreporter))
    if not reports and not marked and not config.getoption("--gradients-table"):
        return
    terminalreporter.section("gradients")
    failed = sum(len(report["failed"]) for report in reports)
    absent = sum(report["not applicable"] for report in reports)
    known = sum(report["known failures"] for report in reports)
    checks = sum(report["checks"] for report in reports)
    terminalreporter.line(
        f"{len(reports)} functions, {checks} checks, {sum(report['examples'] for report in reports)} passes compared: "
        f"{checks - failed - absent - known} passed, {failed} failed, {known} known to fail, {absent} not applicable"
    )
    if path := config.getoption("--gradients-table"):
        path.write_text(table(reports), encoding="utf-8")
        terminalreporter.line(f"table: {path}")


def table(reports: list[dict[str, Any]]) -> str:
    """Return reports as a table in Markdown."""
    lines = [
        "| test | function | kind | checks | passes compared | failed | not applicable |",
        "|---|---|---|---|---|---|---|",
    ]
    for report in reports:
        cells = [report["test"], report["name"], report["kind"], report["checks"], report["examples"]]
        cells += [", ".join(report["failed"]) or "-", report["not applicable"]]
        lines.append("| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def _calls(terminalreporter: Any) -> Iterator[Any]:
    for reports in terminalreporter.stats.values():
        yield from (report for report in reports if getattr(report, "when", "") == "call")


def _reports(terminalreporter: Any) -> Iterator[dict[str, Any]]:
    for report in _calls(terminalreporter):
        for name, value in report.user_properties:
            if name == "gradients.report":
                yield {"test": report.nodeid, **json.loads(value)}
