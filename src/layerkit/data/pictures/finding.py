"""The picture files in folders."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from pathlib import Path

from layerkit.data.pictures.formats import FORMATS, names
from layerkit.errors import DataError


def find_pictures(
    paths: Iterable[str | Path],
    *,
    suffixes: Collection[str] = FORMATS,
    recursive: bool = False,
    leave_out: Path | None = None,
) -> list[Path]:
    """Return the picture files among ``paths``: files as they are, of a folder those with a known suffix, sorted.

    Hidden files and folders are ignored; a file named twice is returned once.

    Args:
        paths: files and folders.
        suffixes: of the files that are taken from folders, in lower case.
        recursive: whether the folders in folders are searched as well.
        leave_out: a folder inside others that is not searched with them.

    Raises:
        DataError: when a path does not exist, or a folder holds no picture.
    """
    found: dict[str, Path] = {}
    for path in map(Path, paths):
        if not path.exists():
            raise DataError(f"{path}: no such file or folder")
        for picture in _in_folder(path, suffixes, recursive, leave_out) if path.is_dir() else [path]:
            found.setdefault(os.path.abspath(picture), picture)
    return list(found.values())


def _in_folder(folder: Path, suffixes: Collection[str], recursive: bool, leave_out: Path | None) -> list[Path]:
    try:
        inside = list(_below(folder, leave_out) if recursive else folder.iterdir())
    except OSError as error:
        raise DataError(f"{error.filename or folder}: the folder cannot be read: {error.strerror}") from None
    pictures = sorted(path for path in inside if path.suffix.lower() in suffixes and not path.name.startswith("."))
    pictures = [path for path in pictures if path.is_file()]
    if not pictures:
        searched = "nor in those below it" if recursive else "subfolders are not searched"
        raise DataError(f"{folder}: no pictures in this folder ({names()}; {searched})")
    return pictures


def _below(folder: Path, leave_out: Path | None) -> Iterable[Path]:
    """Yield the files in a folder and in all folders below it."""

    def refuse(error: OSError) -> None:
        raise error

    spared = None if leave_out is None else os.path.abspath(leave_out)
    for place, folders, files in os.walk(folder, onerror=refuse):
        folders[:] = [
            name
            for name in folders
            if not name.startswith(".") and os.path.abspath(os.path.join(place, name)) != spared
        ]
        yield from (Path(place, name) for name in files)
