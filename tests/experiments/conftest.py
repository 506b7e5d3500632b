from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # for watched.py and postgres.py


@pytest.fixture
def experiment(tmp_path, tiny) -> Callable[..., Path]:
    """Return a function that writes an experiment on a tiny network, with values of its own replaced."""
    (tmp_path / "tiny.json").write_text(json.dumps(tiny.tree(epochs=1)))
    (tmp_path / "experiments").mkdir()

    def write(name: str = "sizes", **values: Any) -> Path:
        tree = {
            "format": 1,
            "name": name,
            "title": "Impact of the batch size",
            "base": "../tiny.json",
            "vary": {"training.batch_size": [2, 4]},
            "figure": {"type": "curve", "x": "training.batch_size", "x_label": "batch size"},
            **values,
        }
        path = tmp_path / "experiments" / f"{name}.json"
        path.write_text(json.dumps({key: value for key, value in tree.items() if value is not None}, indent=1))
        return path

    return write
