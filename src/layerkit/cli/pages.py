"""Pages of the reference on a terminal of any width."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from rich.console import Console, ConsoleOptions
from rich.markdown import Markdown, MarkdownElement, TableElement

from layerkit.cli.grid import Column, Grid


class _Table(TableElement):
    """A Markdown table that becomes a list if the terminal is too narrow for it."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Grid]:
        if self.header is None or self.header.row is None or self.body is None:
            return
        headings = [cell.content.plain for cell in self.header.row.cells]
        grid = Grid([Column(heading, prose=index > 0) for index, heading in enumerate(headings)])
        for row in self.body.rows:
            grid.add(*(cell.content for cell in row.cells))
        yield grid


class Page(Markdown):
    """A Markdown page whose tables and lines are never cut off."""

    elements: ClassVar[dict[str, type[MarkdownElement]]] = {**Markdown.elements, "table_open": _Table}
