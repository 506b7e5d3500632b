"""How places and values are written in messages."""

from __future__ import annotations

import json
import re
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


def show(value: Any) -> str:
    """Return a value as JSON, short enough for a sentence and without characters that would steer a terminal."""
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError):
        text = repr(value)
    text = "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in text[:61])
    return text if len(text) <= 60 else text[:57] + "..."
