"""The folder that a training writes: what was trained, how it went, and what came out."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from layerkit.errors import RunError, UserError
from layerkit.files import write_atomically


class Run:
    """A run's folder.

    - ``architecture.json``: the spec as it was resolved, defaults and overrides included;
    - ``metrics.jsonl``: a JSON object a line: the loss as training goes on, the quality after each epoch;
    - ``checkpoint.safetensors``: the network;
    - ``loss.png`` and ``montage.png``.

    Args:
        folder: made with its parents if it is missing.

    Raises:
        RunError: when the folder cannot be made.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.architecture = self.folder / "architecture.json"
        self.metrics = self.folder / "metrics.jsonl"
        self.checkpoint = self.folder / "checkpoint.safetensors"
        self.loss_curve = self.folder / "loss.png"
        self.montage = self.folder / "montage.png"

    @classmethod
    def create(cls, folder: str | Path, architecture_json: str) -> Run:
        """Return a new run in ``folder``.

        Raises:
            UserError: when the folder already holds a run.
            RunError: when it cannot be written.
        """
        run = cls(folder)
        if run.architecture.exists():
            raise UserError(f"{folder} already holds a run; choose another folder with --output, or remove this one")
        write_atomically(run.architecture, architecture_json.encode())
        write_atomically(run.metrics, b"")
        return run

    @classmethod
    def create_unused(cls, parent: str | Path, name: str, architecture_json: str) -> Run:
        """Return a new run in the first folder ``name``, ``name-2``, ``name-3``, ... of ``parent`` that holds none."""
        safe = "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in name).strip(".") or "run"
        folder, number = Path(parent) / safe, 1
        while cls(folder).architecture.exists():
            number += 1
            folder = Path(parent) / f"{safe}-{number}"
        return cls.create(folder, architecture_json)

    def record(self, event: str, values: Mapping[str, Any]) -> None:
        """Append one line to the metrics.

        Raises:
            RunError: when it cannot be written.
        """
        try:
            with self.metrics.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"event": event, **values}) + "\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise RunError(f"{self.metrics} cannot be written: {error.strerror or error}") from error
