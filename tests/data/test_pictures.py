"""Reading and writing pictures: every mode of file, and a sentence for every broken one."""

from __future__ import annotations

import os
import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

from layerkit.data.pictures import Picture, find_pictures, read_picture, unit, with_channels, write_picture
from layerkit.errors import DataError, RunError, ShapeError


@pytest.fixture
def rgb():
    return torch.randint(256, (3, 11, 7), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


def image(pixels: torch.Tensor) -> Image.Image:
    values = pixels.permute(1, 2, 0).contiguous().numpy()
    return Image.fromarray(values[..., 0] if values.shape[2] == 1 else values)


# Reading


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".TIFF", ".webp"])
@pytest.mark.parametrize("channels", [1, 3])
def test_what_is_written_is_read_again(tmp_path, rgb, suffix, channels):
    if suffix == ".webp" and channels == 1:
        pytest.skip("WebP has no gray")
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


def test_exif_orientation_is_followed(tmp_path, rgb):
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: rotate clockwise to view
    image(rgb).save(tmp_path / "turned.png", exif=exif)
    assert torch.equal(read_picture(tmp_path / "turned.png").pixels, rgb.rot90(-1, (1, 2)))


def test_palette(tmp_path, rgb):
    indexed = image(rgb).quantize(16)
    indexed.save(tmp_path / "palette.png")
    expected = torch.from_numpy(np.array(indexed.convert("RGB"))).permute(2, 0, 1)
    assert torch.equal(read_picture(tmp_path / "palette.png").pixels, expected)
    indexed.save(tmp_path / "transparent.png", transparency=3)
    picture = read_picture(tmp_path / "transparent.png")
    assert torch.equal(picture.alpha == 0, torch.from_numpy(np.array(indexed)) == 3)


def test_black_and_white(tmp_path):
    checks = np.indices((6, 6)).sum(0) % 2 == 0
    Image.fromarray(checks).save(tmp_path / "checks.png")
    assert torch.equal(read_picture(tmp_path / "checks.png").pixels[0], torch.from_numpy(checks).to(torch.uint8) * 255)


def test_cmyk(tmp_path):
    Image.new("CMYK", (4, 4), (0, 255, 255, 0)).save(tmp_path / "print.tif")
    assert read_picture(tmp_path / "print.tif").pixels[:, 0, 0].tolist() == [255, 0, 0]


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bits_become_eight(tmp_path, suffix):
    values = np.array([[0, 255, 256, 32768, 65535]], dtype=np.uint16)
    Image.fromarray(values).save(tmp_path / f"deep.{suffix}")
    assert read_picture(tmp_path / f"deep.{suffix}").pixels.tolist() == [[[0, 0, 1, 128, 255]]]


@pytest.mark.parametrize("suffix", ["gif", "png", "tif", "webp"])
def test_first_frame_of_several(tmp_path, suffix):
    frames = [Image.new("RGB", (5, 4), colour) for colour in ((255, 0, 0), (0, 0, 255))]
    options = {"lossless": True} if suffix == "webp" else {}
    frames[0].save(tmp_path / f"moving.{suffix}", save_all=True, append_images=frames[1:], **options)
    assert read_picture(tmp_path / f"moving.{suffix}").pixels[:, 0, 0].tolist() == [255, 0, 0]


def test_thirty_two_bits_are_refused(tmp_path):
    Image.fromarray(np.zeros((4, 4), dtype=np.float32)).save(tmp_path / "float.tif")
    with pytest.raises(DataError, match=r"float\.tif: 32-bit pixels; expected 8 or 16 bits"):
        read_picture(tmp_path / "float.tif")


def test_missing_file(tmp_path):
    with pytest.raises(DataError, match=r"none\.png: no such file"):
        read_picture(tmp_path / "none.png")


def test_folder(tmp_path):
    with pytest.raises(DataError, match="is a folder, expected a picture file"):
        read_picture(tmp_path)


def test_no_permission(tmp_path, monkeypatch):
    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Image, "open", refuse)  # the tests may run as root, whom no permission stops
    with pytest.raises(DataError, match=r"a\.png: may not be read; check the file's permissions"):
        read_picture(tmp_path / "a.png")


@pytest.mark.parametrize("content", [b"", b"just text\n", b"P6 1 1 255 abc", b"%PDF-1.4"])
def test_not_a_picture(tmp_path, content):
    (tmp_path / "text.png").write_bytes(content)
    with pytest.raises(DataError, match=r"text\.png: not a picture in a known format \(PNG, JPEG"):
        read_picture(tmp_path / "text.png")


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "webp"])
def test_truncated(tmp_path, suffix):
    path = tmp_path / f"half.{suffix}"
    noise = torch.randint(256, (3, 90, 90), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    write_picture(path, Picture(noise))
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match=rf"half\.{suffix}: (damaged or incomplete picture|not a picture)"):
        read_picture(path)


@pytest.mark.parametrize("side", [10_000, 30_000])
def test_too_large(tmp_path, side):
    def part(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + part(b"IHDR", header) + part(b"IDAT", zlib.compress(bytes(1000))) + part(b"IEND", b"")
    (tmp_path / "bomb.png").write_bytes(bomb)
    with pytest.raises(DataError, match=r"bomb\.png: more than 89 million pixels; make the picture smaller"):
        read_picture(tmp_path / "bomb.png")


# Writing


@pytest.mark.parametrize(("name", "shown"), [("a.xyz", r"'\.xyz'"), ("a.gif", r"'\.gif'"), ("a", "a file without")])
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


@pytest.mark.parametrize("pixels", [torch.zeros(3, 4, 4), torch.zeros(2, 4, 4, dtype=torch.uint8)])
def test_pictures_are_eight_bit_gray_or_rgb(pixels):
    with pytest.raises(ShapeError, match=r"a picture is a uint8 tensor \(1 or 3, height, width\), not"):
        Picture(pixels)


def test_alpha_has_the_size_of_the_picture(rgb):
    with pytest.raises(ShapeError, match=r"alpha must be a uint8 tensor \(11, 7\) like the picture"):
        Picture(rgb, rgb[0, 1:])


# Finding


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


def test_gray_is_the_luma_and_colour_of_gray_is_gray():
    colours = torch.tensor([[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]], dtype=torch.uint8).T[:, None]
    assert with_channels(colours, 1).tolist() == [[[76, 150, 29, 255]]]
    assert torch.equal(with_channels(colours[:1], 3), colours[:1].expand(3, -1, -1))


def test_bytes_as_numbers_from_0_to_1():
    values = torch.arange(256, dtype=torch.uint8)
    numbers = unit(values)
    assert numbers.dtype == torch.float32
    assert (numbers[0], numbers[-1]) == (0, 1)
    assert torch.equal((numbers * 255).round(), values.float())
    torch.testing.assert_close(numbers, torch.linspace(0, 1, 256))
    assert torch.equal(values, torch.arange(256))
