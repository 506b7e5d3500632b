"""What tells one data set from another: the bytes of its files, wherever they lie."""

from __future__ import annotations

import hashlib
from pathlib import Path

from layerkit.data import PHOTOS
from layerkit.errors import DataError
from layerkit.pairfiles import TRAIN_NAME, VALIDATION_NAME
from layerkit.pictures import find_pictures


def fingerprint(source: str) -> str:
    """Return a text that is the same for the same data, on every machine; "photos" for the built-in photographs.

    Raises:
        DataError: when there is no such data, or it cannot be read.
    """
    if source == PHOTOS:
        return PHOTOS
    path = Path(source)
    if not path.exists():
        raise DataError(f'{path}: no such file or folder; give one, or "{PHOTOS}" for the built-in photographs')
    folder = path if path.is_dir() else path.parent
    digest = hashlib.sha256()
    for file in _files(path):
        digest.update(f"{file.relative_to(folder)}\n".encode())
        try:
            with file.open("rb") as opened:
                digest.update(hashlib.file_digest(opened, "sha256").digest())
        except OSError as error:
            raise DataError(f"{file} cannot be read: {error.strerror or error}") from None
    return digest.hexdigest()


def _files(path: Path) -> list[Path]:
    """Return the files that :func:`layerkit.data.load_dataset` would read."""
    if path.is_file():
        return [path]
    pairs = [path / name for name in (TRAIN_NAME, VALIDATION_NAME) if (path / name).is_file()]
    return pairs or sorted(find_pictures([path]))
