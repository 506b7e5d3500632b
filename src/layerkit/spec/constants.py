"""Named constants of an architecture file: ``"define": {"width": 44}``, used as ``"$width"``.

A constant is one number, string, true or false; there are no expressions. It may be used wherever ``layers`` and
``training`` hold such a value, except as a ``type``, since the type decides which other fields there are.

A long string that is used many times could expand to far more text than its file holds. The total length of all
replaced values is therefore limited. It is counted while the values are put into the tree, before anything is copied.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from layerkit.errors import Problem, SpecError
from layerkit.spec.diagnosis import MAX_PROBLEMS, at_most_twenty, kind_around
from layerkit.spec.text import MAX_BYTES, Path
from layerkit.wording import show

DEFINE = "define"
USED_IN = ("layers", "training")
NAME = r"[A-Za-z_][A-Za-z0-9_]{0,63}"


class Expanded(NamedTuple):
    """A tree without constants, the name of the constant that was at each path, and the mistakes in their use."""

    tree: Any
    used: Mapping[Path, str]
    problems: tuple[Problem, ...]


def expand(tree: Any) -> Expanded:
    """Return ``tree`` with the value of each constant in place of its name, and without the definitions.

    The paths of all other values stay as they are. A name that cannot be replaced is left in the tree and reported as a
    problem.

    Raises:
        SpecError: when ``define`` itself is wrong.
    """
    if not isinstance(tree, dict):
        return Expanded(tree, {}, ())
    replacing = _Replacing(_definitions(tree.get(DEFINE, {})))
    plain = {key: value for key, value in tree.items() if key != DEFINE}
    for key in USED_IN:
        if key in plain:
            plain[key] = replacing.replaced(plain[key], (key,))
    used, problems = replacing.used, replacing.problems
    if not problems:
        # Otherwise a constant that is misspelt on the command line would be ignored silently.
        unused = [name for name in replacing.values if name not in set(used.values())]
        problems = [Problem(f'nothing uses "${name}"; use it or remove it', (DEFINE, name)) for name in unused]
    return Expanded(plain, used, tuple(problems))


def _definitions(define: Any) -> dict[str, Any]:
    if not isinstance(define, dict):
        raise SpecError((Problem(f'expected an object such as {{"width": 44}}, got {show(define)}', (DEFINE,)),))
    problems = []
    for name, value in define.items():
        if not re.fullmatch(NAME, name):
            problems.append(Problem("the name of a constant has letters, digits and _ only", (DEFINE, name)))
        elif not isinstance(value, int | float | str) or (isinstance(value, str) and value.startswith("$")):
            message = f"expected a number, a text, true or false, got {show(value)}"
            problems.append(Problem(message, (DEFINE, name)))
    if problems:
        raise SpecError(at_most_twenty(problems, len(problems)))
    return define


def from_constant(name: str) -> str:
    """Return the end of a message about a value that came from a constant."""
    return f'(from the constant "{name}")'


class _Replacing:
    """Replaces constants with their values, and records where.

    Args:
        values: the values of the constants by name.

    Attributes:
        used: the name of the constant that was at each path.
        problems: the mistakes in their use.
    """

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.values = values
        self.used: dict[Path, str] = {}
        self.problems: list[Problem] = []
        self._lengths = {name: len(json.dumps(value)) for name, value in values.items()}
        self._length = 0

    def replaced(self, value: Any, path: Path, kind: str | None = None) -> Any:
        """Return a value without constants inside; ``kind`` is the type of the component around it."""
        if isinstance(value, dict):
            kind = kind_around(value, ()) or kind
            return {key: self.replaced(inner, (*path, key), kind) for key, inner in value.items()}
        if isinstance(value, list):
            return [self.replaced(inner, (*path, index), kind) for index, inner in enumerate(value)]
        if not (isinstance(value, str) and value.startswith("$")):
            return value
        name = value[1:]
        # Suggestions are computed only for the problems that are shown.
        fault = _fault(name, path, self.values if len(self.problems) < MAX_PROBLEMS or name in self.values else {})
        if fault:
            self.problems.append(Problem(fault, path, kind))
            return value
        self._length += self._lengths[name]
        if self._length > MAX_BYTES:
            message = f"up to here the values of constants have more than {MAX_BYTES:,} characters; use shorter strings"
            raise SpecError((Problem(f"{message} {from_constant(name)}", path, kind),))
        self.used[path] = name
        return self.values[name]


def _fault(name: str, path: Path, values: Mapping[str, Any]) -> str:
    if path[-1] == "type":
        return "a constant cannot be used as a type; write the name of the component"
    if name in values:
        return ""
    if not re.fullmatch(NAME, name):
        return f"{show('$' + name)} is not the name of a constant, and there are no expressions; write the value"
    near = difflib.get_close_matches(name, values, n=1)
    remedy = f'did you mean "${near[0]}"?' if near else f'add it to "{DEFINE}"'
    return f'unknown constant "${name}"; {remedy}'
