"""Tables that can be read at any width: if the terminal is too narrow, each row becomes a short list."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from rich import box
from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

PROSE = 16
"""The smallest width, in characters, of a column whose text is broken into lines."""
INDENT = 2
"""The indentation, in characters, of a row's cells in a list."""


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        name: its heading, which may be broken between words.
        right: whether it holds numbers, which are aligned to the right.
        prose: whether its cells may be broken between words.
        total: the text below the column.
    """

    name: str
    right: bool = False
    prose: bool = False
    total: str = ""


@dataclass
class Grid:
    """Rows under headings, which rich prints as a table, or else as a list; no cell is ever cut.

    Attributes:
        columns: the headings.
        title, caption: the text above and below.
        rows: the cells and the style of each row.
    """

    columns: Sequence[Column]
    title: str = ""
    caption: str = ""
    rows: list[tuple[tuple[Text, ...], str]] = field(default_factory=list)

    def add(self, *cells: str | Text, style: str = "") -> None:
        """Add a row with a cell for each column; square brackets in a text are printed, not read as markup."""
        self.rows.append((tuple(Text(cell) if isinstance(cell, str) else cell for cell in cells), style))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        for tight in (False, True):
            table = self._table(tight)
            room = options.max_width - table.__rich_measure__(console, options.update(max_width=10**6)).maximum
            if room >= 0:
                self._widen(table, room)
                yield table
                return
        yield self._list()

    def _table(self, tight: bool) -> Table:
        """Return a table whose columns have their smallest widths."""
        table = Table(
            title=Text(self.title, style="table.title") if self.title else None,
            caption=Text(self.caption, style="table.caption") if self.caption else None,
            show_footer=any(column.total for column in self.columns),
            box=box.SIMPLE_HEAD,
            pad_edge=not tight,
            collapse_padding=tight,
        )
        for column, texts in self._content():
            words = [len(word) for text in texts for word in text.split()]
            narrowest = max((len(word) for word in column.name.split()), default=1)
            whole = max(len(text) for text in texts[1:])
            least = max(min(whole, PROSE), *words) if column.prose and words else whole
            table.add_column(
                Text(column.name),
                Text(column.total),
                justify="right" if column.right else "left",
                overflow="fold",
                width=max(narrowest, least),
            )
        for cells, style in self.rows:
            table.add_row(*cells, style=style)
        return table

    def _content(self) -> Iterator[tuple[Column, list[str]]]:
        """Yield each column with its heading, its total and its cells."""
        for index, column in enumerate(self.columns):
            yield column, [column.name, column.total, *(cells[index].plain for cells, _ in self.rows)]

    def _widen(self, table: Table, room: int) -> None:
        """Distribute the remaining width among the columns, in proportion to what each lacks of its full width."""
        widths = [made.width or 0 for made in table.columns]
        lacks = [max(map(len, texts)) - width for width, (_, texts) in zip(widths, self._content(), strict=True)]
        share = min(1, room / max(1, sum(lacks)))
        for made, width, lack in zip(table.columns, widths, lacks, strict=True):
            made.width = width + int(share * max(0, lack))

    def _list(self) -> Group:
        lines: list[RenderableType] = [Text(self.title, style="table.title"), Text()] if self.title else []
        totals = tuple(Text(column.total) for column in self.columns)
        rows = [*self.rows, (totals, "bold")] if any(column.total for column in self.columns) else self.rows
        for (head, *cells), style in rows:
            depth = len(head.plain) - len(head.plain.lstrip())
            lines.append(Padding(Text(head.plain.strip(), style=style or "bold", overflow="fold"), (0, 0, 0, depth)))
            for column, cell in zip(self.columns[1:], cells, strict=True):
                if cell.plain:
                    said = Text.assemble(f"{column.name}: " if column.name else "", cell, overflow="fold")
                    lines.append(Padding(said, (0, 0, 0, depth + INDENT)))
        return Group(*lines, *([Text(), Text(self.caption, style="table.caption")] if self.caption else []))
