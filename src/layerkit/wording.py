"""How places and values are written in messages."""

from __future__ import annotations

import json
import re
import reprlib
from typing import Any


def json_path(path: tuple[str | int, ...]) -> str:
    """Return keys and indices as text: ``("layers", 3, "kernel_size")`` is ``layers[3].kernel_size``."""
    text = ""
    for key in path:
        if isinstance(key, int):
            text += f"[{key}]"
        elif _PLAIN_KEY.fullmatch(key):
            text += f".{key}" if text else key
        else:
            text += f"[{show(key)}]"
    return text


_PLAIN_KEY = re.compile(r"[\w$-]{1,60}", re.ASCII)


MAX_SHOWN = 60


def show(value: Any) -> str:
    """Return a value as JSON, short enough for a sentence and without control characters.

    Only the part that is shown is converted, because a hostile file can have megabytes in one value.
    """
    try:
        text = _beginning(value)
    except (TypeError, ValueError):
        text = shortly(value)
    text = "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in text[: MAX_SHOWN + 1])
    return text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 3] + "..."


def _beginning(value: Any) -> str:
    """Return the first characters of a value as JSON."""
    if isinstance(value, str):
        return json.dumps(value[:MAX_SHOWN], ensure_ascii=False)[: MAX_SHOWN + 1]
    text = ""
    for part in json.JSONEncoder(ensure_ascii=False).iterencode(value):
        text += part[: MAX_SHOWN + 1]
        if len(text) > MAX_SHOWN:
            break
    return text


def shortly(value: Any) -> str:
    """Return the ``repr`` of a value, with dots in place of long parts."""
    try:
        return reprlib.repr(value)
    except ValueError:  # Python refuses to write integers with thousands of digits
        return f"a value of type {type(value).__name__}"
