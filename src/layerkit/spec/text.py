"""JSON text as a tree of plain values, read with suspicion, and where in the text each value stands.

Python's own reader keeps the last of two equal keys, takes NaN, and reads numbers of any length; in a spec all three
are mistakes. The size and depth of a text are bounded before anything walks through it.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from typing import Any

from layerkit.errors import Problem, SpecError
from layerkit.wording import show

MAX_BYTES = 1_000_000
MAX_DEPTH = 32
MAX_VALUES = 40_000
"""Values and names of members: a mistake in each of them takes a kilobyte or two until all are known."""
MAX_DIGITS = 40
MAX_FLOAT_DIGITS = 1_000

Path = tuple[str | int, ...]


class _Refused(ValueError):
    """What the hooks of the JSON reader raise; they do not know where in the text they are.

    ``token`` is the number as it is written; None stands for a key that its object already has.
    """

    def __init__(self, message: str, token: str | None) -> None:
        super().__init__(message)
        self.message, self.token = message, token


def decode(data: bytes, source: str) -> str:
    """Return a file's bytes as text.

    Raises:
        SpecError: when they are too many, or not UTF-8.
    """
    if len(data) > MAX_BYTES:
        raise _error(source, TOO_LONG)
    if data.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        raise _error(source, "the text begins with a byte-order mark; save it as UTF-8 without one")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise _error(source, "the text is not UTF-8; save it as UTF-8", line) from None


def parse(text: str, source: str) -> Any:
    """Return the value that a JSON text stands for.

    Raises:
        SpecError: when the text is not JSON, is too long or too deep, has too many values, repeats a key, or has an
            infinite number.
    """
    check_size(text, source)
    try:
        value = json.loads(
            text, object_pairs_hook=_unique, parse_constant=_no_constant, parse_int=_short_int, parse_float=_finite
        )
    except json.JSONDecodeError as error:
        raise _error(source, _not_json(error), error.lineno, error.colno) from None
    except _Refused as error:
        place = _second_key(text) if error.token is None else _first_number(text, error.token)
        raise _error(source, error.message, *line_and_column(text, place)) from None
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise _error(source, "half of a surrogate pair is not a character; remove the \\u escape") from None
    return value


def from_python(value: Any, source: str) -> Any:
    """Return a value that a program gave, as it is when written as JSON and read again.

    Raises:
        SpecError: when JSON cannot write it, or :func:`parse` would not read it.
    """
    try:
        text = _written(value, source)
    except SpecError:
        raise
    except (TypeError, ValueError, RecursionError) as error:
        raise _error(source, f"expected a value that JSON can write, got {show(value)}: {error}") from None
    try:
        return parse(text, source)
    except SpecError as error:  # the text is not the caller's, nor are places in it
        raise _error(source, error.problems[0].message) from None


def _error(source: str, message: str, line: int | None = None, column: int | None = None) -> SpecError:
    return SpecError((Problem(message, source=source, line=line, column=column),))


def _written(value: Any, source: str) -> str:
    """Return a value as JSON; where that is too long, it is not written to its end."""
    text = io.StringIO()
    for part in json.JSONEncoder().iterencode(value):
        if text.tell() + len(part) > MAX_BYTES:
            raise _error(source, TOO_LONG)
        text.write(part)
    return text.getvalue()


TOO_LONG = f"the text is too long; at most {MAX_BYTES:,} bytes are read"
NOT_JSON = "not JSON: "


def _not_json(error: json.JSONDecodeError) -> str:
    """Return what is wrong, with a remedy for what other languages allow."""
    rest = error.doc[error.pos :]
    before = error.doc[: error.pos].rstrip()
    if rest[:1] in ("/", "#"):
        hint = '; JSON has no comments, "description" is the place for them'
    elif rest[:1] == "'":
        hint = '; texts stand in double quotes "..."'
    elif rest[:1] in ("}", "]") and before.endswith(","):
        hint = "; remove the comma before it"
    elif re.match(r"True\b|False\b|None\b", rest):
        hint = "; write true, false or null"
    else:
        hint = ""
    return f"{NOT_JSON}{error.msg[:1].lower()}{error.msg[1:]}{hint}"


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in pairs:
        if key in result:
            raise _Refused(f"the key {show(key)} stands twice in one object; keep one of them", None)
        result[key] = value
    return result


def _no_constant(token: str) -> Any:
    raise _Refused(f"{token} is not a number that JSON knows; write a finite number", token)


def _short_int(token: str) -> int:
    if len(token) > MAX_DIGITS:
        raise _Refused(f"a number of {len(token):,} digits; at most {MAX_DIGITS} are read", token)
    return int(token)


def _finite(token: str) -> float:
    if len(token) > MAX_FLOAT_DIGITS:
        raise _Refused(f"a number of {len(token):,} digits; at most {MAX_FLOAT_DIGITS:,} are read", token)
    value = float(token)
    if value in (float("inf"), float("-inf")):
        raise _Refused(f"{token[:40]} is too large for a number; write a finite one", token)
    return value


# A JSON text is a sequence of these and white space. A string that does not end matches to the end of its line, so that
# it cannot hide brackets; the real reader refuses it afterwards.
_TOKEN = re.compile(r'"[^"\\\n]*(?:\\.[^"\\\n]*)*"?|[\[\]{},:]|[^\s\[\]{},:"]+')


def check_size(text: str, source: str) -> None:
    """Refuse a JSON text that is too long or too deep, or has too many values, before anything walks through it.

    Raises:
        SpecError: when it is.
    """
    if len(text) > MAX_BYTES:
        raise _error(source, TOO_LONG)
    depth = values = 0
    for match in _TOKEN.finditer(text):
        values += match[0] not in "]},:"
        if values > MAX_VALUES:
            place = line_and_column(text, match.start())
            raise _error(source, f"more than {MAX_VALUES:,} values and names; a repeat stands for many layers", *place)
        if match[0] in "[{":
            depth += 1
            if depth > MAX_DEPTH:
                place = line_and_column(text, match.start())
                raise _error(source, f"more than {MAX_DEPTH} levels of lists and objects inside each other", *place)
        elif match[0] in "]}":
            depth -= 1


def _first_number(text: str, token: str) -> int:
    """Return the offset of a number that begins like ``token``; where there are several, all are wrong."""
    return next(match.start() for match in _TOKEN.finditer(text) if match[0].startswith(token))


def _second_key(text: str) -> int:
    """Return the offset of the first key that its object already has; the text before it is valid JSON."""
    seen: set[Path] = set()
    for path, offset in _walk(text):
        if path in seen:
            return offset
        seen.add(path)
    raise AssertionError("the reader found a key twice")


def line_and_column(text: str, offset: int) -> tuple[int, int]:
    """Return the place of a character, both counted from 1."""
    start = text.rfind("\n", 0, offset) + 1
    return text.count("\n", 0, offset) + 1, offset - start + 1


def places(text: str) -> dict[Path, int]:
    """Return the offset of every value of a valid JSON text by its path; that of an object's member is its key's."""
    return dict(_walk(text))


def _walk(text: str) -> Iterator[tuple[Path, int]]:
    """Yield the path and offset of every value, in the order of the text."""
    path: list[str | int] = []
    key_next = False
    for match in _TOKEN.finditer(text):
        token, start = match[0], match.start()
        if token == ":":
            continue
        if token == ",":
            if isinstance(path[-1], int):
                path[-1] += 1
            else:
                key_next = True
        elif token in ("]", "}"):
            path.pop()
            key_next = False
        elif key_next:
            path[-1] = json.loads(token)
            yield tuple(path), start
            key_next = False
        else:
            # A member of an object has been yielded with its key.
            if not path or isinstance(path[-1], int):
                yield tuple(path), start
            if token == "[":
                path.append(0)
            elif token == "{":
                path.append("")
                key_next = True
