"""Writing pictures: every format, what it cannot hold, and files that are whole or not there."""

from __future__ import annotations

import os
from itertools import product

import pytest
import torch

from layerkit.data.pictures import Page, Picture, opened, read_picture, write_pages, write_picture
from layerkit.errors import DataError, RunError


@pytest.fixture
def rgb():
    return torch.randint(256, (3, 11, 7), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


@pytest.mark.parametrize(
    ("suffix", "channels"),
    [*product([".png", ".bmp", ".tif", ".TIFF"], [1, 3]), (".webp", 3)],  # WebP has no grey
)
def test_what_is_written_is_read_again(tmp_path, rgb, suffix, channels):
    path = tmp_path / f"picture{suffix}"
    write_picture(path, Picture(rgb[:channels]))
    again = read_picture(path)
    assert torch.equal(again.pixels, rgb[:channels])
    assert again.alpha is None
    assert os.listdir(tmp_path) == [path.name]


@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp"])
def test_transparency_survives(tmp_path, rgb, suffix):
    path = tmp_path / f"picture{suffix}"
    alpha = torch.full((11, 7), 255, dtype=torch.uint8)
    alpha[2:4] = 128
    write_picture(path, Picture(rgb, alpha))
    again = read_picture(path)
    assert torch.equal(again.pixels, rgb)
    assert torch.equal(again.alpha, alpha)


def test_gray_with_transparency(tmp_path, rgb):
    path = tmp_path / "picture.png"
    write_picture(path, Picture(rgb[:1], rgb[1]))
    again = read_picture(path)
    assert torch.equal(again.pixels, rgb[:1])
    assert torch.equal(again.alpha, rgb[1])


def test_jpeg_is_close(tmp_path):
    path = tmp_path / "picture.jpg"
    smooth = torch.linspace(0, 255, 64).round().to(torch.uint8).expand(3, 64, 64)
    write_picture(path, Picture(smooth))
    assert (read_picture(path).pixels.int() - smooth.int()).abs().max() <= 4


@pytest.mark.parametrize(("name", "shown"), [("a.xyz", r"'\.xyz'"), ("a", "a file without")])
def test_unknown_suffix(tmp_path, rgb, name, shown):
    with pytest.raises(DataError, match=rf"{name}: cannot write a picture as '?{shown}.*use \.png"):
        write_picture(tmp_path / name, Picture(rgb))


@pytest.mark.parametrize("name", ["a.jpg", "a.bmp"])
def test_transparency_is_not_dropped_silently(tmp_path, rgb, name):
    with pytest.raises(DataError, match=r"has no transparency and the picture has; use \.png"):
        write_picture(tmp_path / name, Picture(rgb, rgb[0]))


def test_a_place_that_cannot_be_a_folder(tmp_path, rgb):
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match=r"a\.png cannot be written: (Not a directory|File exists)"):
        write_picture(tmp_path / "file" / "a.png", Picture(rgb))


def test_a_failed_write_leaves_the_old_file(tmp_path, rgb, monkeypatch):
    path = tmp_path / "a.png"
    write_picture(path, Picture(rgb))
    before = path.read_bytes()

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RunError, match="cannot be written: No space left on device"):
        write_picture(path, Picture(255 - rgb))
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["a.png"]


@pytest.mark.parametrize(
    ("name", "dtype", "sentence"),
    [
        ("a.png", torch.float32, r"PNG holds no float32; use \.tif"),
        ("a.jpg", torch.uint16, r"JPEG holds 8 bits, and the picture is uint16; use \.png or \.tif"),
        ("a.webp", torch.float64, r"WEBP holds 8 bits, and the picture is float64; use"),
        ("a.npy", torch.uint8, r"cannot write a picture as '\.npy'; use \.png"),
    ],
)
def test_a_format_that_would_lose_something_is_refused(tmp_path, rgb, name, dtype, sentence):
    with pytest.raises(DataError, match=rf"{name}: {sentence}"):
        write_picture(tmp_path / name, Picture(rgb.to(dtype)))
    assert not os.listdir(tmp_path)


def test_pages_do_not_go_into_a_format_for_one(tmp_path, rgb):
    pages = [Page(Picture(rgb)), Page(Picture(255 - rgb))]
    write_picture(tmp_path / "a.tif", Picture(rgb))
    with opened(tmp_path / "a.tif") as source:
        source.count = 2
        with pytest.raises(DataError, match=r"b\.jpg: JPEG holds one picture, and there are 2; use \.tif"):
            write_pages(tmp_path / "b.jpg", pages, source)


def test_pages_that_fail_half_way_leave_no_file(tmp_path, rgb):
    write_picture(tmp_path / "a.tif", Picture(rgb))

    def failing():
        yield Page(Picture(rgb))
        raise DataError("the second one")

    with opened(tmp_path / "a.tif") as source, pytest.raises(DataError, match="the second one"):
        write_pages(tmp_path / "b.tif", failing(), source)
    assert os.listdir(tmp_path) == ["a.tif"]
