"""The picture files in folders."""

from __future__ import annotations

import pytest

from layerkit.data.pictures import SUFFIXES, find_pictures
from layerkit.errors import DataError


def test_find_pictures(tmp_path):
    for name in ("b.png", "a.JPG", ".hidden.png", "notes.txt", "c.webp"):
        (tmp_path / name).touch()
    (tmp_path / "folder.png").mkdir()
    found = find_pictures([tmp_path / "notes.txt", tmp_path, tmp_path / ".." / tmp_path.name / "b.png"])
    assert [path.name for path in found] == ["notes.txt", "a.JPG", "b.png", "c.webp"]


def test_nothing_there(tmp_path):
    with pytest.raises(DataError, match="none: no such file or folder"):
        find_pictures([tmp_path / "none"])
    with pytest.raises(DataError, match=r"no pictures in this folder \(PNG, .*; subfolders are not searched\)"):
        find_pictures([tmp_path])


def test_a_folder_that_cannot_be_listed(tmp_path, monkeypatch):
    def refuse(self):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(tmp_path), "iterdir", refuse)
    with pytest.raises(DataError, match="the folder cannot be read: Permission denied"):
        find_pictures([tmp_path])


def test_folders_of_folders(tmp_path):
    for name in ("a.png", "one/b.png", "one/two/c.nef", "one/.hidden/d.png", "out/e.png", "other/out/f.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()

    def found(**options) -> list[str]:
        return [path.relative_to(tmp_path).as_posix() for path in find_pictures([tmp_path], **options)]

    assert found() == ["a.png"]
    assert found(recursive=True) == ["a.png", "one/b.png", "other/out/f.png", "out/e.png"]
    spared = found(recursive=True, suffixes=SUFFIXES, leave_out=tmp_path / "out")
    assert spared == ["a.png", "one/b.png", "one/two/c.nef", "other/out/f.png"]


def test_nothing_in_any_folder(tmp_path):
    (tmp_path / "below").mkdir()
    with pytest.raises(DataError, match=r"no pictures in this folder .*; nor in those below it"):
        find_pictures([tmp_path], recursive=True)
