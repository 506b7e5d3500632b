"""The part of a module's text that an object of it needs, so that it can stand in a program of its own."""

from __future__ import annotations

import ast
import inspect
import sys
import textwrap
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import Any

OWN = "layerkit.testing"
"""The text of modules from here is put into a program; other packages that are installed are imported."""


class Slice:
    """Text that defines some objects, with what it needs above it.

    Attributes:
        imports: lines, in the order in which they were met.
        parts: definitions, each after those that it needs.
        missing: names that stand for something whose text cannot be found.
    """

    def __init__(self) -> None:
        self.imports: list[str] = []
        self.parts: list[str] = []
        self.missing: list[str] = []
        self._seen: set[tuple[str, str]] = set()

    def text(self) -> str:
        """Return imports and definitions."""
        return "\n".join([*self.imports, "", "", "\n\n\n".join(self.parts)])

    def define(self, name: str, what: Any) -> None:
        """Let ``name`` stand for ``what``: a module, a function, a class, or a plain value."""
        if isinstance(what, ModuleType):
            plain = what.__name__ == name
            self._import(f"import {name}" if plain else f"import {what.__name__} as {name}")
            return
        if isinstance(what, bool | int | float | str | tuple | type(None)):
            self.parts.append(f"{name} = {what!r}")
            return
        what = getattr(what, "_init_fn", what)  # what torch.library.custom_op decorated
        module, own = inspect.getmodule(what), getattr(what, "__qualname__", "")
        if module is None or not own:
            self.missing.append(name)
        elif _is_installed(module) and own.isidentifier():
            self._import(f"from {module.__name__} import {own}" + (f" as {name}" if own != name else ""))
        elif own.isidentifier() and self._take(module, own):
            if own != name:
                self.parts.append(f"{name} = {own}")
        else:
            self._define_inner(name, what, module)

    def _define_inner(self, name: str, what: Any, module: ModuleType) -> None:
        """Define what stands inside of a function, with what it has from around it."""
        try:
            source = textwrap.dedent(inspect.getsource(what))
            node = ast.parse(source).body[0]
        except (OSError, TypeError, SyntaxError, IndexError):
            self.missing.append(name)
            return
        if not isinstance(node, ast.FunctionDef | ast.ClassDef):
            self.missing.append(name)
            return
        functions = [what] if not isinstance(what, type) else [v for v in vars(what).values() if callable(v)]
        functions += [getattr(f, "__func__", f) for f in vars(what).values()] if isinstance(what, type) else []
        for function in functions:
            try:
                around = inspect.getclosurevars(function).nonlocals
            except TypeError:
                continue
            for inner, value in around.items():
                if inner != node.name and inner not in ("__class__",):
                    self.define(inner, value)
        self._need(module, node)
        self.parts.append(ast.get_source_segment(source, node) or source)
        if node.name != name:
            self.parts.append(f"{name} = {node.name}")

    def _take(self, module: ModuleType, name: str) -> bool:
        """Put what a module binds to a name, and all that it needs, into the slice; return whether it is there."""
        if (module.__name__, name) in self._seen:
            return True
        node = _read(module).binds.get(name)
        if node is None:
            return False
        self._seen.add((module.__name__, name))
        if isinstance(node, ast.Import):
            alias = next(its for its in node.names if (its.asname or its.name.split(".")[0]) == name)
            self._import(f"import {alias.name}" + (f" as {alias.asname}" if alias.asname else ""))
        elif isinstance(node, ast.ImportFrom):
            alias = next(its for its in node.names if (its.asname or its.name) == name)
            home = sys.modules.get(node.module or "")
            if home is None or _is_installed(home) or not self._take(home, alias.name):
                self._import(
                    f"from {node.module} import {alias.name}" + (f" as {alias.asname}" if alias.asname else "")
                )
        else:
            self._need(module, node)
            self.parts.append(_segment(_read(module).source, node))
            self._take_registrations(module, name)
        return True

    def _take_registrations(self, module: ModuleType, name: str) -> None:
        """Put in what is said about a name after its definition, such as ``name.register_autograd(...)``."""
        text = _read(module)
        for node in text.registers.get(name, ()):
            self._need(module, node)
            self.parts.append(_segment(text.source, node))

    def _need(self, module: ModuleType, node: ast.AST) -> None:
        for name in _names_read(node):
            self._take(module, name)

    def _import(self, line: str) -> None:
        if line not in self.imports:
            self.imports.append(line)


@dataclass(frozen=True)
class _Text:
    """The text of a module: what its top-level statements bind by name, and what they register by owner."""

    source: str
    binds: dict[str, ast.stmt]
    registers: dict[str, list[ast.stmt]]


@cache
def _read(module: ModuleType) -> _Text:
    """Return the text of a module; an empty one where there is none."""
    text = _Text("", {}, {})
    with suppress(OSError, TypeError, SyntaxError):
        source = inspect.getsource(module)
        text = _Text(source, {}, {})
        for node in ast.parse(source).body:
            text.binds.update(dict.fromkeys(_bound(node), node))
            for owner in _registered_with(node):
                text.registers.setdefault(owner, []).append(node)
    return text


def _registered_with(node: ast.stmt) -> Iterator[str]:
    """Yield the names whose ``register...`` a statement calls, by itself or as a decorator."""
    for call in [node.value] if isinstance(node, ast.Expr) else getattr(node, "decorator_list", []):
        method = call.func if isinstance(call, ast.Call) else call
        if not isinstance(method, ast.Attribute) or not method.attr.startswith("register"):
            continue
        if isinstance(method.value, ast.Name):
            yield method.value.id


def _is_installed(module: ModuleType) -> bool:
    file = (getattr(module, "__file__", None) or "").replace("\\", "/")
    return ("site-packages" in file or not file) and not module.__name__.startswith(OWN)


def _names_read(node: ast.AST) -> Iterator[str]:
    """Yield the names that are read when a statement runs; annotations are not."""
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns"):
            continue
        for inner in value if isinstance(value, list) else [value]:
            if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Load):
                yield inner.id
            elif isinstance(inner, ast.AST):
                yield from _names_read(inner)


def _bound(node: ast.stmt) -> set[str]:
    """Return the names that a statement at the top of a module gives a meaning to."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return {node.name}
    if isinstance(node, ast.Import):
        return {alias.asname or alias.name.split(".")[0] for alias in node.names}
    if isinstance(node, ast.ImportFrom):
        return {alias.asname or alias.name for alias in node.names}
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return {inner.id for target in targets for inner in ast.walk(target) if isinstance(inner, ast.Name)}


def _segment(source: str, node: ast.stmt) -> str:
    decorators = getattr(node, "decorator_list", [])
    first = min([node.lineno, *(decorator.lineno for decorator in decorators)])
    return "\n".join(source.splitlines()[first - 1 : node.end_lineno])
