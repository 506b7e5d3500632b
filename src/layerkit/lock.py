"""A folder for one process alone."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from layerkit.errors import RunError, UserError


class FolderInUseError(UserError):
    """Another process works in the folder."""


class FolderLock:
    """Keeps other processes out of a folder, until it is released or this process ends, however it ends.

    The lock lies on a hidden file in the folder. The file stays when the lock is released: removing it would take it
    from under a process that is just about to lock it.

    Args:
        folder: an existing folder.

    Raises:
        FolderInUseError: when another process has locked it.
        RunError: when the system refuses.
    """

    NAME = ".lock"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            self._descriptor = os.open(folder / self.NAME, os.O_RDWR | os.O_CREAT, 0o666)
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                os.close(self._descriptor)
                raise
        except BlockingIOError:
            raise FolderInUseError(
                f"another process is training in {folder}; wait for it, stop it, or choose another folder with --output"
            ) from None
        except OSError as error:
            raise RunError(f"{folder} cannot be locked: {error.strerror or error}") from error

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
