"""Reading and writing pictures: every mode of file, and a sentence for every broken one."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

from layerkit.data.pictures import Picture, opened, read_picture, read_pixels, write_picture
from layerkit.errors import DataError


@pytest.fixture
def rgb():
    return torch.randint(256, (3, 11, 7), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


def image(pixels: torch.Tensor) -> Image.Image:
    values = pixels.permute(1, 2, 0).contiguous().numpy()
    return Image.fromarray(values[..., 0] if values.shape[2] == 1 else values)


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


def test_missing_file(tmp_path):
    with pytest.raises(DataError, match=r"none\.png: no such file"):
        read_picture(tmp_path / "none.png")


def test_folder(tmp_path):
    with pytest.raises(DataError, match="is a folder, expected a picture file"):
        read_picture(tmp_path)


def test_no_permission(tmp_path, monkeypatch):
    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", refuse)  # the tests may run as root, whom no permission stops
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


# Numbers for training


def test_eight_and_sixteen_bits_stay_as_they_are(tmp_path, rgb):
    for dtype in (torch.uint8, torch.uint16):
        write_picture(tmp_path / "a.png", Picture(rgb.to(dtype)))
        pixels = read_pixels(tmp_path / "a.png")
        assert pixels.dtype == dtype
        assert torch.equal(pixels, rgb.to(dtype))


@pytest.mark.parametrize("white", [1, 255, 65535])
def test_floats_become_sixteen_bits(tmp_path, white):
    values = torch.tensor([[[0.0, 0.2, 0.6, 1.0] * 300]]) * white
    write_picture(tmp_path / "a.tif", Picture(values))
    pixels = read_pixels(tmp_path / "a.tif")
    assert pixels.dtype == torch.uint16
    assert pixels[0, 0, :4].tolist() == [0, 13107, 39321, 65535]


def test_floats_that_are_no_numbers(tmp_path):
    write_picture(tmp_path / "a.tif", Picture(torch.full((1, 4, 4), torch.nan)))
    with pytest.raises(DataError, match=r"a\.tif: some values are not finite; replace them"):
        read_pixels(tmp_path / "a.tif")


def test_of_several_pictures_of_a_telephone_the_first_and_a_note(tmp_path):
    images = [Image.new("RGB", (6, 4), colour) for colour in ("red", "blue")]
    images[0].save(tmp_path / "a.jpg", format="MPO", save_all=True, append_images=images[1:])
    with opened(tmp_path / "a.jpg") as source:
        assert (source.count, source.note) == (1, "of 2 pictures in the file the first")
        assert len(list(source.pages())) == 1
