"""Strict reading of untrusted JSON text into plain values, and the place of each value in the text.

Python's own reader keeps the last of two equal keys, accepts NaN, and reads numbers of any length; in a spec all three
are mistakes. The size and depth of a text are checked before it is parsed.
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
"""The limit of values and keys together; each mistake found takes a kilobyte or two of memory."""
MAX_DIGITS = 40
MAX_FLOAT_DIGITS = 1_000

Path = tuple[str | int, ...]


class _Refused(ValueError):
    """Raised by the hooks of the JSON reader, which do not know the place in the text.

    ``token`` is the refused number as it is written; None means a key that its object already has.
    """

    def __init__(self, message: str, token: str | None) -> None:
        super().__init__(message)
        self.message, self.token = message, token


def decode(data: bytes, source: str) -> str:
    """Return a file's bytes as text.

    Raises:
        SpecError: when there are too many bytes, or they are not UTF-8.
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
    """Return the value of a JSON text.

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
    """Return a program's value as it is after being written as JSON and read again.

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
    except SpecError as error:  # the caller did not write this text, so its lines and columns say nothing
        raise _error(source, error.problems[0].message) from None


def _error(source: str, message: str, line: int | None = None, column: int | None = None) -> SpecError:
    return SpecError((Problem(message, source=source, line=line, column=column),))


def _written(value: Any, source: str) -> str:
    """Return a value as JSON; writing stops once the text is too long."""
    text = io.StringIO()
    for part in json.JSONEncoder().iterencode(value):
        if text.tell() + len(part) > MAX_BYTES:
            raise _error(source, TOO_LONG)
        text.write(part)
    return text.getvalue()


TOO_LONG = f"the text is too long; at most {MAX_BYTES:,} bytes are read"
NOT_JSON = "not JSON: "


def _not_json(error: json.JSONDecodeError) -> str:
    """Return what is wrong, with a hint where other languages allow it."""
    rest = error.doc[error.pos :]
    before = error.doc[: error.pos].rstrip()
    if rest[:1] in ("/", "#"):
        hint = '; JSON has no comments, "description" is the place for them'
    elif rest[:1] == "'":
        hint = '; write strings in double quotes "..."'
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


# The tokens of a JSON text. A string without a closing quote matches to the end of its line, so that it cannot hide
# brackets; the JSON reader refuses it afterwards.
_TOKEN = re.compile(r'"[^"\\\n]*(?:\\.[^"\\\n]*)*"?|[\[\]{},:]|[^\s\[\]{},:"]+')


def check_size(text: str, source: str) -> None:
    """Refuse a JSON text that is too long or too deep, or has too many values, before it is parsed.

    Raises:
        SpecError: when a limit is exceeded.
    """
    if len(text) > MAX_BYTES:
        raise _error(source, TOO_LONG)
    depth = values = 0
    for match in _TOKEN.finditer(text):
        values += match[0] not in "]},:"
        if values > MAX_VALUES:
            place = line_and_column(text, match.start())
            raise _error(source, f'more than {MAX_VALUES:,} values and keys; use "repeat" for equal layers', *place)
        if match[0] in "[{":
            depth += 1
            if depth > MAX_DEPTH:
                place = line_and_column(text, match.start())
                raise _error(source, f"more than {MAX_DEPTH} levels of lists and objects inside each other", *place)
        elif match[0] in "]}":
            depth -= 1


def _first_number(text: str, token: str) -> int:
    """Return the offset of the first number that begins with ``token``; if there are more, they are wrong too."""
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
    """Return the line and column of a character, both counted from 1."""
    start = text.rfind("\n", 0, offset) + 1
    return text.count("\n", 0, offset) + 1, offset - start + 1


def places(text: str) -> dict[Path, int]:
    """Return the offset of every value of a valid JSON text by its path; for a member of an object, that of its key."""
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
            # A member of an object has already been yielded with its key.
            if not path or isinstance(path[-1], int):
                yield tuple(path), start
            if token == "[":
                path.append(0)
            elif token == "{":
                path.append("")
                key_next = True
