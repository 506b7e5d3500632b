"""Prints a network: a line for each module with the shape of its output, or a table for notebooks.

The arguments are those that the constructors were given, and shapes are known where a spec has built the module. The
output is short however large the network is: of many modules side by side only the first and the last are shown, and
deep levels are left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import NamedTuple, Protocol

from torch import Tensor

MAX_ROWS = 300
MAX_DEPTH = 24
FIRST, LAST = 80, 20
"""How many of the modules side by side are shown."""
WIDEST = 60
"""The last column to which notes are aligned; behind longer lines they are not aligned."""

Shape = tuple[int, ...]


class Printed(Protocol):
    """The part of a module's interface that is needed to print it."""

    def children(self) -> Mapping[str, Printed]:
        """Return the modules inside by name."""

    def parameters(self) -> list[Tensor]:
        """Return the learned tensors of the module, without those of the modules inside it."""

    def arguments(self) -> str:
        """Return the arguments of its constructor as Python source, without the modules inside it."""

    def shapes(self) -> tuple[Shape, Shape] | None:
        """Return the shapes of one input sample and of its output; None where they are not known."""


class _Row(NamedTuple):
    """A module, or modules that are left out.

    Attributes:
        depth: the number of modules around it.
        name: its name in the module around it; empty for the outermost module.
        module: the module; None for modules that are left out.
        inside: whether there are modules inside it.
        opened: whether rows for the modules inside it follow.
        left_out: how many modules are left out here.
    """

    depth: int
    name: str = ""
    module: Printed | None = None
    inside: bool = False
    opened: bool = False
    left_out: int = 0

    @property
    def call(self) -> str:
        if self.module is None:
            return f"... {self.left_out:,} more"
        parts = [self.module.arguments(), "..." if self.inside and not self.opened else ""]
        return f"{type(self.module).__name__}({', '.join(filter(None, parts))})"


def text(network: Printed) -> str:
    """Return the network in the form that ``torch.nn`` prints, with shapes and parameter counts as comments.

    A layer without modules inside it is printed as the call that makes it.
    """
    lines: list[tuple[str, str]] = []
    opened: list[int] = []
    for row in _rows(network):
        while opened and opened[-1] >= row.depth:
            lines.append(("  " * opened.pop() + ")", ""))
        label = f"({row.name}): " if row.name else ""
        if row.module is not None and row.opened:
            lines.append((f"{'  ' * row.depth}{label}{type(row.module).__name__}(", _note(row)))
            arguments = row.module.arguments()
            lines += [("  " * (row.depth + 1) + arguments, "")] if arguments else []
            opened.append(row.depth)
        else:
            lines.append(("  " * row.depth + label + row.call, _note(row)))
    lines += [("  " * depth + ")", "") for depth in reversed(opened)]
    if len(lines) == 1:
        return lines[0][0]
    column = min(WIDEST, max((len(line) for line, note in lines if note), default=0))
    return "\n".join(f"{line:<{column}}  # {note}" if note else line for line, note in lines)


def table(network: Printed) -> str:
    """Return the network as an HTML table, for notebooks."""
    rows = "".join(
        f'<tr><td style="text-align: left; padding-left: {row.depth + 0.5}em">{escape(row.name)}</td>'
        f'<td style="text-align: left"><code>{escape(row.call)}</code></td>'
        f'<td style="text-align: right">{escape(_shape(row))}</td>'
        f'<td style="text-align: right">{escape(_parameters(row))}</td></tr>\n'
        for row in _rows(network)
    )
    head = "".join(f"<th>{title}</th>" for title in ("Name", "Layer", "Output", "Parameters"))
    return f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}</tbody>\n</table>"


def summary(network: Printed) -> str:
    """Return the network in a few words, such as ``Sequential of 8 layers, 22,983 parameters``."""
    layers = sum(not module.children() for module in _all(network))
    return f"{type(network).__name__} of {_counted(layers, 'layer')}, {_counted(_numbers(network), 'parameter')}"


def _rows(network: Printed) -> Iterator[_Row]:
    """Yield a row for each module that is shown, each before those inside it."""
    return _rows_from(_Row(0, "", network, bool(network.children())), _depth_shown(network))


def _rows_from(row: _Row, depth: int) -> Iterator[_Row]:
    opened = row.inside and row.depth < depth
    yield row._replace(opened=opened)
    if opened and row.module is not None:
        for inner in _inside(row.module, row.depth + 1):
            yield from _rows_from(inner, depth)


def _inside(module: Printed, depth: int) -> list[_Row]:
    """Return the rows of the modules directly inside one."""
    children = list(module.children().items())
    left_out = max(0, len(children) - FIRST - LAST)
    rows = [_Row(depth, name, child, bool(child.children())) for name, child in children]
    return [*rows[:FIRST], _Row(depth, left_out=left_out), *rows[-LAST:]] if left_out else rows


def _depth_shown(network: Printed) -> int:
    """Return the depth to which modules are shown: at least 1, and more as long as all rows fit."""
    level, count = [network], 1
    for depth in range(MAX_DEPTH):
        level = [row.module for module in level for row in _inside(module, 0) if row.module is not None]
        count += len(level)
        if not level or (depth and count > MAX_ROWS):
            return depth
    return MAX_DEPTH


def _all(network: Printed) -> Iterator[Printed]:
    """Yield a module and all modules inside it at any depth, each once."""
    waiting, seen = [network], {id(network)}
    while waiting:
        module = waiting.pop()
        yield module
        new = [child for child in module.children().values() if id(child) not in seen]
        seen.update(map(id, new))
        waiting += new


def _numbers(network: Printed) -> int:
    """Return the parameter count of a module with all modules inside it; shared parameters count once."""
    return sum({id(p): p.numel() for module in _all(network) for p in module.parameters()}.values())


def _note(row: _Row) -> str:
    """Return the comment behind a module's line."""
    numbers = _numbers(row.module) if row.module is not None else 0
    return ", ".join(filter(None, [_shape(row), _counted(numbers, "parameter") if numbers else ""]))


def _shape(row: _Row) -> str:
    shapes = row.module.shapes() if row.module is not None else None
    if shapes is None:
        return ""
    into, out = ("x".join(map(str, shape)) for shape in shapes)
    return out if row.depth else f"{into} -> {out}"


def _parameters(row: _Row) -> str:
    numbers = _numbers(row.module) if row.module is not None else 0
    return f"{numbers:,}" if numbers else ""


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'s' * (number != 1)}"
