"""Atomic writes of files, and locks on folders.

Works on POSIX systems and on Windows, which cannot flush a folder to the disk, and where Python before 3.13 cannot set
the permissions of an open file.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from filelock import lock_descriptor

from layerkit.errors import FolderInUseError, RunError

_TEMPORARY = ".tmp"
_BLOCK = 4096
"""How many bytes are read at a time, backwards from the end of a file, to find the beginning of its last line."""


def write_atomically(path: str | Path, data: bytes | memoryview) -> None:
    """Write ``data`` to ``path`` in the way of :func:`replaced`.

    Raises:
        RunError: when the system refuses; the old content is still there.
    """
    with _renamed(path) as (descriptor, _):
        _write(descriptor, data)


@contextlib.contextmanager
def replaced(path: str | Path) -> Iterator[BinaryIO]:
    """Open a new file, for writing and reading, that takes the place of ``path`` when the block is left without error.

    The file has either the old content or the new, even after a crash. The bytes go to a temporary file in the same
    folder, which is flushed to the disk and then renamed; after that the folder is flushed too, where the system can do
    that. Missing folders are made.

    Raises:
        RunError: when the system refuses; what was there before is still there.
    """
    with _renamed(path) as (_, temporary), open(temporary, "r+b") as file:
        yield file


@contextlib.contextmanager
def _renamed(path: str | Path) -> Iterator[tuple[int, str]]:
    """Open a new file that takes the place of ``path``, see :func:`replaced`, and yield its descriptor and name."""
    path = Path(path)
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=_TEMPORARY, dir=path.parent)
        try:
            yield descriptor, temporary
            if hasattr(os, "fchmod"):
                os.fchmod(descriptor, 0o666 & ~_umask())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(temporary, path)
        temporary = None
        _sync_folder(path.parent)
    except OSError as error:
        raise _refused(path, error) from error
    finally:
        if temporary is not None:
            with contextlib.suppress(OSError):
                os.unlink(temporary)


def append_lines(path: str | Path, lines: bytes, durable: bool = True) -> None:
    """Append whole lines to a file, which is made if it is missing.

    A last line without ``\\n`` was cut short by a full disk or a killed process. It is removed first, so that the new
    line does not continue it.

    Args:
        path: the file.
        lines: any number of lines, each ending with ``\\n``.
        durable: whether to wait until everything appended so far is on the disk.

    Raises:
        RunError: when the system refuses; the file may then end with a part of a line.
    """
    path = Path(path)
    try:
        # Without O_BINARY Windows would write two bytes for each line end.
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0)
        descriptor = os.open(path, flags, 0o666)
        try:
            _cut_torn_line(descriptor)
            _write(descriptor, lines)
            if durable:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise _refused(path, error) from error


def why_unreadable(error: OSError | ValueError) -> str:
    """Return why a file cannot be opened, in words; a ValueError means that its name is not a possible one."""
    if isinstance(error, FileNotFoundError):
        return "there is no such file"
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files that a killed process left in ``folder``; no other process may be writing there."""
    for path in folder.glob(f".*{_TEMPORARY}"):
        with contextlib.suppress(OSError):
            path.unlink()


def _refused(path: Path, error: OSError) -> RunError:
    return RunError(f"{path} cannot be written: {error.strerror or error}")


def _write(descriptor: int, data: bytes | memoryview) -> None:
    # The system may write only a part, for example when the disk is nearly full.
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _cut_torn_line(descriptor: int) -> None:
    size = end = os.fstat(descriptor).st_size
    while end:
        start = max(0, end - _BLOCK)
        os.lseek(descriptor, start, os.SEEK_SET)
        line_end = os.read(descriptor, end - start).rfind(b"\n")
        if line_end >= 0:
            end = start + line_end + 1
            break
        end = start
    if end < size:
        os.ftruncate(descriptor, end)


def _umask() -> int:
    # The mask can only be read by setting it.
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _sync_folder(folder: Path) -> None:
    if not hasattr(os, "O_DIRECTORY"):  # Windows cannot open folders
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class FolderLock:
    """Reserves a folder for one user, until the lock is released or this process ends in any way.

    The operating system holds the lock on a hidden file in the folder. The file stays when the lock is released,
    because another process may be about to lock it.

    Args:
        folder: an existing folder.

    Raises:
        FolderInUseError: when another process, or another part of this one, has locked it.
        RunError: when the system refuses.
    """

    NAME = ".lock"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            self._descriptor = os.open(folder / self.NAME, os.O_RDWR | os.O_CREAT, 0o666)
            try:
                locked = lock_descriptor(self._descriptor, blocking=False)
            except OSError:
                os.close(self._descriptor)
                raise
        except OSError as error:
            raise RunError(f"{folder} cannot be locked: {error.strerror or error}") from error
        if not locked:
            os.close(self._descriptor)
            raise FolderInUseError(
                f"another process is training in {folder}; wait for it, stop it, or choose another folder with --output"
            )

    def check(self) -> None:
        """Make sure that the folder is still the one that was locked.

        Raises:
            RunError: when it has been removed, or another one has taken its place.
        """
        try:
            same = os.path.samestat(os.stat(self.folder / self.NAME), os.fstat(self._descriptor))
        except FileNotFoundError:
            same = False
        except OSError as error:
            raise RunError(f"{self.folder} cannot be read any more: {error.strerror or error}") from error
        if not same:
            raise RunError(f"{self.folder} was removed or replaced while it was in use, so nothing can be saved in it")

    def release(self) -> None:
        """Let other processes in."""
        os.close(self._descriptor)
