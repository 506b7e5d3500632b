"""Chooses the file for the denoised version of each picture: its name with ``.png``, below the output folder.

Pictures from several folders keep their tree below the innermost folder that contains them all. If two pictures of one
folder would get the same name, as ``a.jpg`` and ``a.png`` would, those that are not ``.png`` keep their old suffix:
``a.jpg.png``. The order in which the pictures are given makes no difference.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path, PurePath

SUFFIX = ".png"


def targets_of(files: Sequence[Path], output: Path) -> dict[Path, Path]:
    """Return the file that each picture's denoised version is written to; no two are the same.

    Args:
        files: the pictures, each only once.
        output: the folder.
    """
    folders = dict(zip(files, _below([Path(os.path.abspath(file)).parent for file in files]), strict=True))
    endings = dict.fromkeys(files, 0)
    while True:
        targets = {file: output / folders[file] / _name(file, count) for file, count in endings.items()}
        wanted = Counter(targets.values())
        clashing = [file for file, target in targets.items() if wanted[target] > 1 and target.name != file.name]
        if not clashing:
            return targets
        for file in clashing:
            endings[file] += 1


def _name(file: Path, endings: int) -> str:
    """Return a picture's name with ``.png`` in place of its suffix, or ``endings`` times ``.png`` after its suffix."""
    return file.name + endings * SUFFIX if endings else file.stem + SUFFIX


def renamed(targets: dict[Path, Path]) -> list[Path]:
    """Return the pictures that keep their old suffix."""
    return [file for file, target in targets.items() if target.name != _name(file, 0)]


def _below(folders: Sequence[PurePath]) -> list[PurePath]:
    """Return absolute folders relative to the innermost folder that contains them all; a drive counts as a folder."""
    parts = [(folder.drive.strip(":\\"), *folder.parts[1:]) for folder in folders]
    shared = sum(1 for _ in takewhile(lambda names: len(set(names)) == 1, zip(*parts, strict=False)))
    return [PurePath(*own[shared:]) for own in parts]
