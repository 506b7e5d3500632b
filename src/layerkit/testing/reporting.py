"""A report that a plugin's author can publish, as Markdown or as one HTML page without scripts."""

from __future__ import annotations

from html import escape
from pathlib import Path

from layerkit.disk import write_atomically
from layerkit.environment import __version__
from layerkit.errors import UserError
from layerkit.testing.battery import check_named
from layerkit.testing.results import Report, Result

SIGNS = {"passed": "✓", "failed": "✗", "known failure": "(✗)", "not applicable": "-"}


def markdown(report: Report) -> str:
    """Return the report as Markdown: a summary, failures in full, and every check of every component."""
    lines = ["# Conformance", "", f"layerkit {__version__}: {report.summary()}.", ""]
    if report.failures:
        lines += ["## Failures", ""]
        for text in report.explained():
            lines += ["```", text, "```", ""]
    for (kind, name), results in report.components().items():
        lines += [f"## {name} ({kind}, {results[0].distribution})", ""]
        lines += ["| check | outcome | examples | |", "|---|---|---|---|"]
        lines += [
            f"| {result.check} | {SIGNS[result.outcome]} {result.outcome} | {result.examples} | {_cell(result)} |"
            for result in results
        ]
        lines.append("")
    return "\n".join(lines)


def _cell(result: Result) -> str:
    return (result.reason or check_named(result.check).statement).replace("|", "\\|")


def html(report: Report) -> str:
    """Return the report as one HTML page."""
    parts = [f"<h1>Conformance</h1><p>layerkit {__version__}: {escape(report.summary())}.</p>"]
    if report.failures:
        parts.append("<h2>Failures</h2>")
        parts += [f"<pre>{escape(text)}</pre>" for text in report.explained()]
    for (kind, name), results in report.components().items():
        rows = "".join(
            f'<tr class="{result.outcome.replace(" ", "-")}"><td>{escape(result.check)}</td>'
            f"<td>{SIGNS[result.outcome]} {result.outcome}</td><td>{result.examples}</td>"
            f"<td>{escape(result.reason or check_named(result.check).statement)}</td></tr>"
            for result in results
        )
        head = "<tr><th>check</th><th>outcome</th><th>examples</th><th></th></tr>"
        title = f"{escape(name)} ({kind}, {escape(results[0].distribution)})"
        parts.append(f"<h2>{title}</h2><table>{head}{rows}</table>")
    return _PAGE.replace("BODY", "\n".join(parts))


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Conformance</title><style>
body { font: 15px/1.45 system-ui, sans-serif; max-width: 70em; margin: 2em auto; padding: 0 1em; }
table { border-collapse: collapse; } td, th { padding: .15em .6em; text-align: left; border-bottom: 1px solid #ddd; }
.failed td:nth-child(2) { color: #b00; } .passed td:nth-child(2) { color: #060; } pre { overflow: auto; }
</style></head><body>
BODY
</body></html>
"""


_WRITERS = {".md": markdown, ".html": html}


def check_report(path: Path) -> None:
    """Refuse a file in which no report can be written.

    Raises:
        UserError: when its ending is neither .md nor .html.
    """
    if path.suffix not in _WRITERS:
        raise UserError(f"a report is written as .md or .html, not as {path.name}")


def write_report(report: Report, path: Path) -> None:
    """Write the report into a file; its ending, .md or .html, says as what.

    Raises:
        UserError: for another ending.
    """
    check_report(path)
    write_atomically(path, _WRITERS[path.suffix](report).encode())
