"""JSON text as a tree of plain values, read with suspicion, and where in the text each value stands.

Python's own reader keeps the last of two equal keys, takes NaN, and reads numbers of any length; a spec may do none of
these. Its size and depth are bounded before anything walks through it.
"""

from __future__ import annotations

import json
import re
from typing import Any

from layerkit.errors import Problem, SpecError

MAX_BYTES = 1_000_000
MAX_DEPTH = 32
MAX_DIGITS = 40

Path = tuple[str | int, ...]


class _Refused(ValueError):
    """What the hooks of the JSON reader raise; they do not know where in the text they are."""


def decode(data: bytes, source: str) -> str:
    """Return a file's bytes as text.

    Raises:
        SpecError: when they are too many, or not UTF-8.
    """
    if len(data) > MAX_BYTES:
        raise _error(source, f"a spec has at most {MAX_BYTES:,} bytes, this one has {len(data):,}")
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
        SpecError: when the text is not JSON, is too long or too deep, repeats a key, or has a number that is none.
    """
    if len(text) > MAX_BYTES:
        raise _error(source, f"a spec has at most {MAX_BYTES:,} bytes, this one has {len(text):,}")
    _check_depth(text, source)
    try:
        value = json.loads(
            text, object_pairs_hook=_unique, parse_constant=_no_constant, parse_int=_short_int, parse_float=_finite
        )
        json.dumps(value, ensure_ascii=False).encode("utf-8")
        return value
    except json.JSONDecodeError as error:
        raise _error(source, f"not JSON: {error.msg}", error.lineno, error.colno) from None
    except UnicodeEncodeError:
        raise _error(source, "half of a surrogate pair is not a character; remove the \\u escape") from None
    except _Refused as error:
        message, token = error.args
        raise _error(source, message, *_first_place(text, token)) from None


def _error(source: str, message: str, line: int | None = None, column: int | None = None) -> SpecError:
    return SpecError((Problem(message, source=source, line=line, column=column),))


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise _Refused(f'the key "{_short(twice)}" stands twice in one object; keep one of them', twice)
    return result


def _no_constant(token: str) -> Any:
    raise _Refused(f"{token} is not a number that JSON knows; write a finite number", token)


def _short_int(token: str) -> int:
    if len(token) > MAX_DIGITS:
        raise _Refused(f"a number of {len(token):,} digits; at most {MAX_DIGITS} are read", token)
    return int(token)


def _finite(token: str) -> float:
    if len(token) > MAX_BYTES // 1000:
        raise _Refused(f"a number of {len(token):,} digits; at most {MAX_BYTES // 1000} are read", token)
    value = float(token)
    if value in (float("inf"), float("-inf")):
        raise _Refused(f"{_short(token)} is too large for a number; write a finite one", token)
    return value


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:37] + "..."


# A JSON text is a sequence of these and white space. A string that does not end matches to the end of its line, so that
# it cannot hide brackets; the real reader refuses it afterwards.
_TOKEN = re.compile(r'"(?:[^"\\\n]|\\.)*"?|[\[\]{},:]|[^\s\[\]{},:"]+')

_COLON = re.compile(r"\s*:")


def _check_depth(text: str, source: str) -> None:
    depth = 0
    for match in _TOKEN.finditer(text):
        if match[0] in "[{":
            depth += 1
            if depth > MAX_DEPTH:
                place = line_and_column(text, match.start())
                raise _error(source, f"more than {MAX_DEPTH} levels of lists and objects inside each other", *place)
        elif match[0] in "]}":
            depth -= 1


def _first_place(text: str, token: str) -> tuple[int, int] | tuple[None, None]:
    """Return where the value ``token``, or the second key ``token`` of one object, stands in the text."""
    seen: list[set[str]] = []
    for match in _TOKEN.finditer(text):
        if match[0] == token:
            return line_and_column(text, match.start())
        if match[0] == "{":
            seen.append(set())
        elif match[0] == "}" and seen:
            seen.pop()
        elif match[0].startswith('"') and _COLON.match(text, match.end()) and seen:
            key = json.loads(match[0])
            if key == token and key in seen[-1]:
                return line_and_column(text, match.start())
            seen[-1].add(key)
    return None, None


def line_and_column(text: str, offset: int) -> tuple[int, int]:
    """Return the place of a character, both counted from 1."""
    start = text.rfind("\n", 0, offset) + 1
    return text.count("\n", 0, offset) + 1, offset - start + 1


def places(text: str) -> dict[Path, int]:
    """Return the offset of every value of a valid JSON text by its path; that of an object's member is its key's."""
    found: dict[Path, int] = {(): 0}
    path: list[str | int] = []
    objects: list[bool] = []
    key_next = False
    for match in _TOKEN.finditer(text):
        token = match[0]
        if token in "[{":
            if objects and not objects[-1]:
                found[tuple(path)] = match.start()
            objects.append(token == "{")
            path.append("" if token == "{" else 0)
            key_next = token == "{"
        elif token in "]}":
            objects.pop()
            path.pop()
            key_next = False
        elif token == ",":
            if objects[-1]:
                key_next = True
            else:
                path[-1] += 1
        elif token == ":":
            continue
        elif key_next:
            path[-1] = json.loads(token)
            found[tuple(path)] = match.start()
            key_next = False
        elif not objects[-1:] or not objects[-1]:
            found[tuple(path)] = match.start()
    return found
