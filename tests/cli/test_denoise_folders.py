"""``layerkit denoise`` with many pictures: folders of folders, shares, several at a time, and going on."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from layerkit import build, load_architecture, save
from layerkit.cli import run

NET = (
    '{"format": 1, "name": "net", "input": {"channels": 3, "height": 8, "width": 8}, '
    '"layers": [{"type": "conv2d", "out_channels": 3, "kernel_size": 3, "padding": 1}]}'
)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Return a folder with a network in it, and change into it."""
    monkeypatch.chdir(tmp_path)
    architecture = load_architecture(NET)
    save("net.safetensors", build(architecture), architecture)
    return tmp_path


def picture(name: str, seed: int = 0) -> None:
    os.makedirs(os.path.dirname(name) or ".", exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (9, 12, 3), dtype=np.uint8)).save(name)


def denoise(*arguments: str) -> int:
    return run(["denoise", "net.safetensors", *arguments])


def files(folder: str) -> list[str]:
    found = [os.path.join(place, name) for place, _, names in os.walk(folder) for name in names]
    return sorted(os.path.relpath(path, folder).replace(os.sep, "/") for path in found)


def test_folders_of_folders_keep_their_tree(folder):
    for name in ("in/a.png", "in/one/b.jpg", "in/one/two/c.png"):
        picture(name)
    assert denoise("in", "--recursive", "--output", "out") == 0
    assert files("out") == ["a.png", "one/b.png", "one/two/c.png"]


def test_what_was_denoised_is_not_denoised_again(folder):
    picture("one/a.png")
    assert denoise(".", "--recursive") == 0
    assert denoise(".", "--recursive", "--overwrite") == 0
    assert files("denoised") == ["a.png"]


def test_existing_ones_are_skipped(folder, capsys):
    for number in range(4):
        picture(f"in/{number}.png", number)
    assert denoise("in/0.png", "in/1.png", "--output", "out") == 0
    before = {name: os.stat(f"out/{name}").st_mtime_ns for name in files("out")}
    capsys.readouterr()
    assert denoise("in", "--output", "out", "--skip-existing") == 0
    said = capsys.readouterr()
    assert said.err.endswith("note: 2 of 4 pictures are there already, and skipped\n")
    assert said.out.count(" -> ") == 2
    assert files("out") == ["0.png", "1.png", "2.png", "3.png"]
    assert all(os.stat(f"out/{name}").st_mtime_ns == time for name, time in before.items())
    assert denoise("in", "--output", "out", "--skip-existing") == 0
    assert denoise("in", "--output", "out") == 2
    assert "out/0.png exists already; use --overwrite or --skip-existing, or" in capsys.readouterr().err


def test_shares_are_parts_of_the_whole(folder):
    for number in range(7):
        picture(f"in/{number}.png", number)
    picture("in/0.jpg")
    assert denoise("in", "--output", "whole") == 0
    for share in ("1/3", "2/3", "3/3"):
        before = files("parts") if os.path.exists("parts") else []
        assert denoise("in", "--output", "parts", "--shard", share) == 0
        assert len(files("parts")) - len(before) in (2, 3)
    assert files("parts") == files("whole")
    for name in files("whole"):
        assert Path(f"parts/{name}").read_bytes() == Path(f"whole/{name}").read_bytes()
    assert denoise("in", "--output", "few", "--shard", "64/64") == 0
    assert not os.path.exists("few")


@pytest.mark.parametrize("share", ["0/3", "4/3", "3", "a/b", "-1/3", "1/0", "1/3/5"])
def test_what_is_no_share(folder, capsys, share):
    picture("a.png")
    assert denoise("a.png", "--shard", share) == 2
    assert f"{share} is no share; expected K/N, with K from 1 to N, such as 3/64" in capsys.readouterr().err


def test_several_at_a_time_give_the_same(folder, capsys):
    for number in range(6):
        picture(f"in/{number}.png", number)
    assert denoise("in", "--output", "one") == 0
    told = capsys.readouterr().out
    assert denoise("in", "--output", "three", "--jobs", "3", "--compare") == 0
    assert capsys.readouterr().out == told.replace("one/", "three/")
    for name in files("one"):
        assert Path(f"one/{name}").read_bytes() == Path(f"three/{name}").read_bytes()
    assert denoise("in", "--jobs", "0") == 2


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_one_broken_file_of_a_hundred_is_named_at_the_end(folder, capsys, jobs):
    for number in range(99):
        picture(f"in/{number:02}.png", number)
    Path("in/50a.png").write_bytes(Path("in/50.png").read_bytes()[:200])
    assert denoise("in", "--output", "out", "--jobs", jobs) == 1
    said = capsys.readouterr()
    assert len(files("out")) == 99
    last = said.err.strip().splitlines()
    assert last[-2] == "error: 1 of 100 pictures could not be denoised:"
    assert last[-1].startswith("in/50a.png: damaged or incomplete picture")


def test_to_overwrite_and_to_skip_exclude_each_other(folder, capsys):
    picture("a.png")
    assert denoise("a.png", "--overwrite", "--skip-existing") == 2
    assert "--overwrite and --skip-existing exclude each other" in capsys.readouterr().err


def test_pictures_of_one_name_keep_their_formats(folder):
    for name in ("in/a.png", "in/a.jpg", "in/a.tif"):
        picture(name)
    assert denoise("in", "--output", "png") == 0
    assert files("png") == ["a.jpg.png", "a.png", "a.tif.png"]
    assert denoise("in", "--output", "same", "--format", "same") == 0
    assert files("same") == ["a.jpg", "a.png", "a.tif"]
    assert denoise("in", "--format", "jpeg") == 2


def test_a_full_disk_ends_the_run_and_leaves_no_half_of_a_file(folder, monkeypatch, capsys):
    for number in range(3):
        picture(f"in/{number}.png", number)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert denoise("in", "--output", "out", "--jobs", "2") == 1
    assert "out/0.png cannot be written: No space left on device" in capsys.readouterr().err
    assert files("out") == []
