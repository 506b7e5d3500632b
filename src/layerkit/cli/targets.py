"""Chooses the file for the denoised version of each picture: its name with a suffix, below the output folder.

The format is PNG, unless a file holds what PNG cannot, or each is to keep its format. Pictures from several folders
keep their tree below the innermost folder that contains them all. If two pictures of one folder would get the same
name, as ``a.jpg`` and ``a.png`` would, those whose name would change keep their old suffix: ``a.jpg.png``. The order in
which the pictures are given makes no difference.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import takewhile
from pathlib import Path, PurePath

from layerkit.data.pictures import FORMATS, opened
from layerkit.data.pictures.formats import ARRAYS
from layerkit.data.pictures.tiff import MAGIC
from layerkit.errors import DataError

SUFFIX = ".png"


def suffix_of(file: Path, same: bool) -> str:
    """Return the suffix of the file that a picture's denoised version is written to.

    Args:
        file: the picture.
        same: whether it is to keep its format, where that can be written. PNG otherwise, unless the file holds several
            pages, floats or arrays.
    """
    suffix = file.suffix.lower()
    if same and suffix in FORMATS:
        return file.suffix
    try:
        with file.open("rb") as beginning:
            several_kinds = suffix in ARRAYS or beginning.read(4) in MAGIC
        if several_kinds:
            with opened(file) as source:
                return source.suffix
    except (OSError, DataError):  # which is told when it is that picture's turn
        pass
    return SUFFIX


def targets_of(files: Sequence[Path], output: Path, suffixes: Mapping[Path, str]) -> dict[Path, Path]:
    """Return the file that each picture's denoised version is written to; no two are the same.

    Args:
        files: the pictures, each only once.
        output: the folder.
        suffixes: of the files that are written.
    """
    folders = dict(zip(files, _below([Path(os.path.abspath(file)).parent for file in files]), strict=True))
    endings = dict.fromkeys(files, 0)
    while True:
        targets = {file: output / folders[file] / _name(file, suffixes[file], count) for file, count in endings.items()}
        wanted = Counter(targets.values())
        clashing = [file for file, target in targets.items() if wanted[target] > 1 and target.name != file.name]
        if not clashing:
            return targets
        for file in clashing:
            endings[file] += 1


def _name(file: Path, suffix: str, endings: int) -> str:
    """Return a picture's name with ``suffix`` in place of its own, or ``endings`` times ``suffix`` after its own."""
    return file.name + endings * suffix if endings else file.stem + suffix


def renamed(targets: Mapping[Path, Path]) -> list[Path]:
    """Return the pictures that keep their old suffix."""
    return [file for file, target in targets.items() if target.stem != file.stem]


def _below(folders: Sequence[PurePath]) -> list[PurePath]:
    """Return absolute folders relative to the innermost folder that contains them all; a drive counts as a folder."""
    parts = [(folder.drive.strip(":\\"), *folder.parts[1:]) for folder in folders]
    shared = sum(1 for _ in takewhile(lambda names: len(set(names)) == 1, zip(*parts, strict=False)))
    return [PurePath(*own[shared:]) for own in parts]
