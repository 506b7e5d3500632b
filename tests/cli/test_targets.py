from __future__ import annotations

import itertools
from pathlib import Path, PureWindowsPath

import pytest

from layerkit.cli.targets import _below, renamed, targets_of

OUT = Path("out")


def pngs(files: list[Path]) -> dict[Path, Path]:
    return targets_of(files, OUT, dict.fromkeys(files, ".png"))


def names(*files: str) -> dict[str, str]:
    """Return the target of each file, which is the same in whatever order they are given."""
    found = [pngs([Path(file) for file in order]) for order in itertools.permutations(files)]
    assert all(other == found[0] for other in found)
    return {str(file): target.relative_to(OUT).as_posix() for file, target in found[0].items()}


def test_a_picture_gets_its_name_as_a_png() -> None:
    assert names("in/a.jpg", "in/b.png", "in/c") == {"in/a.jpg": "a.png", "in/b.png": "b.png", "in/c": "c.png"}


@pytest.mark.parametrize(
    "expected",
    [
        {"a.jpg": "a.jpg.png", "a.png": "a.png"},
        {"a.jpg": "a.jpg.png", "a.bmp": "a.bmp.png", "b.jpg": "b.png"},
        {"a.PNG": "a.PNG.png", "a.png": "a.png"},
        # What the old ending leads to may be somebody's name as well.
        {"a.jpg": "a.jpg.png.png", "a.png": "a.png", "a.jpg.png": "a.jpg.png"},
        {"a.jpg": "a.jpg.png.png", "a.png": "a.png", "a.jpg.gif": "a.jpg.gif.png"},
    ],
)
def test_of_one_name_each_that_is_no_png_keeps_its_old_ending(expected: dict[str, str]) -> None:
    assert names(*expected) == expected


def test_who_keeps_it_is_told() -> None:
    assert renamed(pngs([Path("a.jpg"), Path("a.png"), Path("b.jpg")])) == [Path("a.jpg")]


def test_several_folders_keep_their_tree() -> None:
    assert names("x/a.png", "x/y/a.png", "x/y/a.jpg") == {
        "x/a.png": "a.png",
        "x/y/a.png": "y/a.png",
        "x/y/a.jpg": "y/a.jpg.png",
    }
    assert names("x/../y/a.png", "z/a.png") == {"x/../y/a.png": "y/a.png", "z/a.png": "z/a.png"}
    assert names("/one/a.png", "/two/a.png") == {"/one/a.png": "one/a.png", "/two/a.png": "two/a.png"}


def test_drives_are_folders_too() -> None:
    found = _below([PureWindowsPath(r"C:\one"), PureWindowsPath(r"D:\one\two"), PureWindowsPath(r"\\server\share\x")])
    assert [path.parts for path in found] == [("C", "one"), ("D", "one", "two"), (r"server\share", "x")]
    assert [path.parts for path in _below([PureWindowsPath(r"C:\one"), PureWindowsPath(r"C:\two\x")])] == [
        ("one",),
        ("two", "x"),
    ]
