"""RAW files of cameras and HEIC files of telephones."""

from __future__ import annotations

import importlib
import sys

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from layerkit.data.pictures import opened, read_picture
from layerkit.errors import DataError


def rationals(*numbers: float) -> tuple[int, ...]:
    return tuple(part for number in numbers for part in (round(10_000 * number), 10_000))


@pytest.fixture
def raw(tmp_path) -> str:
    """Return a DNG file, as cameras write them: one colour a pixel, of 14 bits."""
    bayer = np.full((64, 96), 8000, np.uint16)
    bayer[0::2, 0::2], bayer[1::2, 1::2] = 12_000, 4000
    tags = [
        *((50706, 1, 4, bytes([1, 4, 0, 0])), (50707, 1, 4, bytes([1, 1, 0, 0])), (50708, 2, 0, "Test")),
        *((271, 2, 0, "Test"), (272, 2, 0, "Camera"), (33421, 3, 2, (2, 2)), (33422, 1, 4, bytes([0, 1, 1, 2]))),
        *((50721, 10, 9, rationals(1, 0, 0, 0, 1, 0, 0, 0, 1)), (50728, 5, 3, rationals(1, 1, 1))),
        *((50778, 3, 1, 21), (50717, 4, 1, 16_383), (50714, 4, 1, 0)),
    ]
    path = tmp_path / "a.dng"
    tifffile.imwrite(path, bayer, photometric=32803, extratags=[(*tag, True) for tag in tags], metadata=None)
    return str(path)


def test_raw_files_become_colours_of_sixteen_bits(raw):
    with opened(raw) as source:
        assert source.suffix == ".png"
        assert source.note == "developed by LibRaw with the camera's white balance"
        pixels = next(source.pages()).picture.pixels
        exif = Image.Exif()
        exif.load(source.tags.exif)
    assert (pixels.dtype, tuple(pixels.shape)) == (torch.uint16, (3, 64, 96))
    red, green, blue = pixels.double().mean((1, 2)).tolist()
    assert red > green > blue
    assert (exif[271], exif[272]) == ("Test", "Camera")


@pytest.mark.parametrize(("mode", "dtype"), [("RGB", torch.uint8), ("RGB;16", torch.uint16)])
def test_heic(tmp_path, mode, dtype):
    heif = importlib.import_module("pillow_heif")
    ramp = np.linspace(0, 65535 if "16" in mode else 255, 48).astype(np.uint16 if "16" in mode else np.uint8)
    array = np.broadcast_to(ramp[None, :, None], (32, 48, 3)).copy()
    exif = Image.Exif()
    exif[271] = "Phone"
    image = heif.from_bytes(mode=mode, size=(48, 32), data=array.tobytes())
    image.info["exif"] = exif.tobytes()
    path = tmp_path / "a.jpg"  # as they are sometimes called
    image.save(path, format="HEIF", quality=95)
    with opened(path) as source:
        pixels = next(source.pages()).picture.pixels
        exif = Image.Exif()
        exif.load(source.tags.exif)
    assert (pixels.dtype, tuple(pixels.shape)) == (dtype, (3, 32, 48))
    assert np.abs(pixels[1].double().numpy() - ramp).max() < 0.02 * ramp.max()
    assert exif[271] == "Phone"


@pytest.mark.parametrize(("package", "what"), [("rawpy", "RAW"), ("pillow_heif", "HEIC")])
def test_without_the_package_a_sentence_names_the_extra(tmp_path, raw, monkeypatch, package, what):
    monkeypatch.setitem(sys.modules, package, None)
    path = raw
    if what == "HEIC":
        path = tmp_path / "a.heic"
        path.write_bytes(b"\0\0\0\x1cftypheic" + bytes(100))
    with pytest.raises(DataError, match=rf"{what} pictures need the package {package}: pip install 'layerkit\[raw\]'"):
        read_picture(path)


@pytest.mark.parametrize("name", ["a.nef", "a.heic"])
def test_damaged_files(tmp_path, name):
    (tmp_path / name).write_bytes(b"\0\0\0\x1cftypheic" + bytes(100))
    with pytest.raises(DataError, match=rf"{name}: damaged or incomplete picture"):
        read_picture(tmp_path / name)
