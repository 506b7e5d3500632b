"""The folder that a training writes: its settings, its metrics and its results."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import count, takewhile
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, ValidationError

from layerkit.contracts.specs import StrictModel
from layerkit.disk import FolderLock, append_lines, remove_leftovers, write_atomically
from layerkit.errors import FolderInUseError, FolderTakenError, RunError, SpecError, UserError
from layerkit.spec import text as jsontext
from layerkit.spec.architecture import Architecture
from layerkit.spec.differences import how_they_differ

ARCHITECTURE, METRICS, CHECKPOINT = "architecture.json", "metrics.jsonl", "checkpoint.safetensors"
_END = "end"
_REMEDY = "choose another folder with --output, or remove"


class Settings(StrictModel):
    """The settings that a run was started with, apart from its spec."""

    format: Literal[1] = 1
    data: str = Field(max_length=10_000)
    clean_targets: bool = False
    reproducible: bool = False


class Run:
    """A run's folder, locked against other processes until it is closed.

    - ``architecture.json``: the resolved spec, with defaults, overrides and the packages that it needs;
    - ``run.json``: the data it is trained on;
    - ``metrics.jsonl``: one JSON object per line: the loss during training, the quality after each epoch;
    - ``checkpoint.safetensors``: the network, and everything that is needed to continue;
    - ``loss.png`` and ``montage.png``.

    Use :meth:`open`, :meth:`start`, :meth:`start_in` or :meth:`lock` to make one.

    Args:
        folder: an existing folder.
        lock: the lock on that folder.
    """

    def __init__(self, folder: Path, lock: FolderLock) -> None:
        self.folder = folder
        self.architecture = self.folder / ARCHITECTURE
        self.settings = self.folder / "run.json"
        self.metrics = self.folder / METRICS
        self.checkpoint = self.folder / CHECKPOINT
        self.loss_curve = self.folder / "loss.png"
        self.montage = self.folder / "montage.png"
        self._lock = lock

    def close(self) -> None:
        """Let other processes in."""
        self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Which run

    @classmethod
    def lock(cls, folder: str | Path) -> Run:
        """Lock an existing folder, with or without a run, and remove the temporary files of a killed process.

        Raises:
            FolderInUseError: when another process trains in the folder.
            RunError: when it cannot be locked.
        """
        run = cls(Path(folder), FolderLock(Path(folder)))
        remove_leftovers(run.folder)
        return run

    @classmethod
    def open(cls, folder: str | Path) -> Run:
        """Return the run in ``folder``.

        Raises:
            UserError: when there is none, or another process trains in it.
        """
        if not (Path(folder) / ARCHITECTURE).is_file():
            raise UserError(f"{folder} holds no run; give a folder that layerkit train has written")
        return cls.lock(folder)

    @classmethod
    def start(cls, folder: str | Path, architecture: Architecture, settings: Settings, finished: bool = False) -> Run:
        """Return a new run in ``folder``, or the existing run if it was started in the same way and is not finished.

        Args:
            finished: whether a finished run is returned as well.

        Raises:
            UserError: when the folder has another run, a finished run or parts of a run, or another process trains in
                it; then nothing is changed.
            RunError: when it cannot be written.
        """
        _refuse_parts(Path(folder))
        try:
            Path(folder).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunError(f"{folder} cannot be made: {error.strerror or error}") from error
        run = cls.lock(folder)
        try:
            if not run._continues(architecture, settings, finished):
                run._begin(architecture, settings)
        except BaseException:
            run.close()
            raise
        return run

    @classmethod
    def start_in(cls, parent: str | Path, architecture: Architecture, settings: Settings) -> Run:
        """Return the result of :meth:`start` in the first suitable folder ``name``, ``name-2``, ... of ``parent``."""
        folders = folders_in(parent, architecture.name)
        while True:
            with suppress(FolderTakenError, FolderInUseError):
                return cls.start(next(folders), architecture, settings)

    def _begin(self, architecture: Architecture, settings: Settings) -> None:
        self.write_settings(settings)
        write_atomically(self.metrics, b"")
        # Last, since a folder with this file holds a run.
        self.write_architecture(architecture)

    def _continues(self, architecture: Architecture, settings: Settings, finished: bool) -> bool:
        """Return whether the folder holds a run with this architecture and these settings; False if it has no run.

        Raises:
            UserError: when it holds another run, or a finished run that was not asked for.
        """
        if not self.architecture.exists():
            return False
        if not self.settings.exists():
            raise FolderTakenError(f"{self.architecture} is there already, and is not part of a run; {_REMEDY} it")
        different = self._difference(architecture, settings)
        if different and (self.checkpoint.exists() or self.epochs_recorded > 1 or self.finished):
            raise FolderTakenError(f"{self.folder} already holds another run: {different}; {_REMEDY} this one")
        if self.finished and not finished:
            raise FolderTakenError(
                f"{self.folder} already holds this run, finished; {_REMEDY} this one, "
                f"or train on with: layerkit train --resume {self.folder} --epochs N"
            )
        return not different

    def _difference(self, architecture: Architecture, settings: Settings) -> str:
        """Return how a spec and settings differ from those here, the packages aside, or nothing where they do not."""
        try:
            text = self.architecture.read_text("utf-8")
            here = self.read_settings().model_dump() | jsontext.parse(text, str(self.architecture))
        except (OSError, SpecError, UserError, ValueError, TypeError):
            return f"its {self.architecture.name} or {self.settings.name} cannot be read"
        given = settings.model_dump() | json.loads(architecture.to_json())
        for tree in (here, given):
            tree.pop("requires", None)
        return how_they_differ(here, given, "there", "here")

    def write_architecture(self, architecture: Architecture) -> None:
        """Write the resolved spec.

        Raises:
            RunError: when it cannot be written.
        """
        write_atomically(self.architecture, architecture.to_json().encode())

    def write_settings(self, settings: Settings) -> None:
        """Write the settings that the run is started with.

        Raises:
            RunError: when it cannot be written.
        """
        write_atomically(self.settings, (settings.model_dump_json(indent=2) + "\n").encode())

    def read_settings(self) -> Settings:
        """Return the settings that the run was started with.

        Raises:
            UserError: when their file is missing or damaged.
        """
        try:
            return Settings.model_validate_json(self.settings.read_bytes())
        except (OSError, ValidationError):
            raise UserError(f"{self.settings} is missing or damaged, so the data of the run are not known") from None

    # What happens

    def check(self) -> None:
        """Make sure that the folder is still there, and still this run's.

        Raises:
            RunError: when it is not.
        """
        self._lock.check()

    def record(self, event: str, values: Mapping[str, Any], durable: bool = True) -> int:
        """Append one line to the metrics, and return the size of the file.

        Args:
            durable: whether to wait until the line is on the disk; otherwise the next durable line, or :meth:`sync`,
                brings it there.

        Raises:
            RunError: when it cannot be written.
        """
        self.check()
        append_lines(self.metrics, (json.dumps({"event": event, **values}) + "\n").encode(), durable)
        return self.metrics.stat().st_size

    def sync(self) -> None:
        """Wait until everything recorded is on the disk.

        Raises:
            RunError: when it cannot be written.
        """
        append_lines(self.metrics, b"")

    def record_end(self) -> None:
        """Record that the run is finished."""
        self.record(_END, {})

    @property
    def epochs_recorded(self) -> int:
        """The number of epochs in the metrics; each is recorded just before its checkpoint is written."""
        return sum(event.get("event") == "epoch" for event in self.events())

    def metrics_checksum(self, size: int) -> str:
        """Return the SHA-256 of the first ``size`` bytes of the metrics, or "" if there are fewer."""
        try:
            with self.metrics.open("rb") as file:
                data = file.read(size)
        except OSError:
            return ""
        return hashlib.sha256(data).hexdigest() if len(data) == size else ""

    @property
    def finished(self) -> bool:
        """Whether the run is finished."""
        events = self.events()
        return bool(events) and events[-1].get("event") == _END

    def events(self, size: int | None = None) -> list[dict[str, Any]]:
        """Return the recorded events; lines that cannot be read are left out.

        Args:
            size: the number of bytes of the file to read; None for all.
        """
        try:
            lines = self.metrics.read_bytes()[:size].splitlines()
        except OSError:
            return []
        events = []
        for line in lines:
            try:
                event = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(event, dict):
                events.append(event)
        return events

    def rewind(self, size: int) -> None:
        """Cut the metrics to an earlier ``size`` in bytes, so that steps that are repeated are not recorded twice.

        Raises:
            RunError: when it cannot be written.
        """
        try:
            if self.metrics.exists() and self.metrics.stat().st_size > size:
                os.truncate(self.metrics, size)
        except OSError as error:
            raise RunError(f"{self.metrics} cannot be written: {error.strerror or error}") from error


def folders_in(parent: str | Path, name: str) -> Iterator[Path]:
    """Yield the folders of ``parent`` for runs of one name, without end: ``name``, ``name-2``, ``name-3``, ..."""
    safe = "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in name).strip(".") or "run"
    folder = Path(parent) / safe[:100]
    yield folder
    for number in count(2):
        yield folder.with_name(f"{folder.name}-{number}")


def last_checkpoint_in(parent: str | Path, name: str) -> Path | None:
    """Return the checkpoint of the last run of that name in ``parent``; None where there is none."""
    runs = takewhile(Path.exists, folders_in(parent, name))
    checkpoints = [folder / CHECKPOINT for folder in runs if (folder / CHECKPOINT).exists()]
    return checkpoints[-1] if checkpoints else None


def _refuse_parts(folder: Path) -> None:
    """Refuse a folder that holds metrics or a checkpoint, but not the architecture that belongs to them."""
    if (folder / ARCHITECTURE).exists():
        return
    for path in (folder / CHECKPOINT, folder / METRICS):
        # A run that was killed at its very beginning leaves empty metrics.
        if path.exists() and path.stat().st_size:
            raise FolderTakenError(
                f"{path} is there already, without the {ARCHITECTURE} of its run; put that back, {_REMEDY} this one"
            )
