"""Every exception that layerkit raises for its callers, all derived from :class:`LayerkitError`, and its warnings.

Each error has the exit code of the command line: 2 for a mistake that the user can correct, 1 for a run that failed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self

from layerkit.wording import json_path


class LayerkitError(Exception):
    """The base class of every error that layerkit raises on purpose."""

    exit_code = 1


class UserError(LayerkitError):
    """Something the user gave is wrong; the message says what to change."""

    exit_code = 2


class DataError(UserError):
    """Pictures or data files that are missing, unreadable or of the wrong form."""


class TooLargeError(DataError):
    """A picture of more pixels than can be taken."""


class DataWarning(UserWarning):
    """Pictures that can be used but probably do not hold what they should."""


class CheckpointError(UserError):
    """A checkpoint that is missing, damaged, or does not fit its network."""


class DeviceError(UserError):
    """A device that is not there."""


class PluginError(UserError):
    """A plugin that cannot be used, or a component that no installed plugin provides."""


class FolderInUseError(UserError):
    """A folder in which another process is working."""


class FolderTakenError(UserError):
    """A folder whose content must not be continued or overwritten."""


class RunError(LayerkitError):
    """A run that was started correctly and could not be finished."""


class DivergedError(RunError):
    """A training whose loss is no longer a finite number."""


class BrokenLayerError(RunError):
    """A layer or a loss that does not do what its spec or the contract of modules promises."""


class StoppedError(LayerkitError):
    """A run that was asked to stop and has saved its state; the exit code is 128 plus the number of the signal."""

    def __init__(self, message: str, signal: int) -> None:
        super().__init__(message)
        self.signal, self.exit_code = signal, 128 + signal


class ProcessError(RunError):
    """A process that has ended, or does not answer any more, while others work with it; all of them raise this."""

    def __init__(self, message: str, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class StateError(LayerkitError, RuntimeError):
    """A module used out of order: backward before forward, or a tensor changed in between."""


class ArgumentError(UserError, ValueError, TypeError):
    """An argument that a layer, loss, optimizer, noise or schedule cannot be made with."""


class InputError(UserError):
    """An input that a layer or a loss cannot take.

    Attributes:
        message: what does not fit, and what would.
        path: the JSON path to the layer, from the outermost container on.
    """

    def __init__(self, message: str, path: tuple[str | int, ...] = ()) -> None:
        super().__init__(message, path)
        self.message = message
        self.path = path

    def __str__(self) -> str:
        return f"{json_path(self.path)}: {self.message}" if self.path else self.message

    def inside(self, *keys: str | int) -> Self:
        """Return the same error as seen from the container that holds the layer under ``keys``."""
        return type(self)(self.message, (*keys, *self.path))


class ShapeError(InputError, ValueError):
    """A shape that does not fit."""


class TensorError(InputError, TypeError):
    """An input that is not a tensor, or whose dtype or device differs from that of the layer's parameters."""


@dataclass(frozen=True)
class Problem:
    """One mistake in a spec: where it is and what to do about it.

    Attributes:
        message: what is wrong, what was expected, and what to do.
        path: the JSON path, as keys and indices.
        type: the name of the innermost component around it.
        source: the file, or another name of the text.
        line: the line, counted from 1; None where it is not known.
        column: the column, counted from 1; None where it is not known.
    """

    message: str
    path: tuple[str | int, ...] = ()
    type: str | None = None
    source: str = "<text>"
    line: int | None = None
    column: int | None = None

    def at(self, source: str, line: int | None, column: int | None) -> Problem:
        """Return the problem with its place in the file filled in."""
        return replace(self, source=source, line=line, column=column)

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.source, self.line, self.column) if part is not None)
        where = json_path(self.path)
        subject = f"{where} ({self.type})" if where and self.type else where
        return ": ".join(part for part in (place, subject, self.message) if part)

    def to_dict(self) -> dict[str, Any]:
        """Return the problem as plain data for programs."""
        return {
            "file": self.source,
            "line": self.line,
            "column": self.column,
            "path": json_path(self.path),
            "type": self.type,
            "message": self.message,
        }


class SpecError(UserError, ValueError):
    """A spec that is not valid.

    Attributes:
        problems: every mistake that was found, in order.
    """

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__(problems)
        self.problems = problems

    def __str__(self) -> str:
        return "\n".join(str(problem) for problem in self.problems)


def out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that memory is short; on the CPU torch has no class of its own for that."""
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and "allocate memory" in str(error))
