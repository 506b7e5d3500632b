"""PNG files of 16 bits, of every kind, and animations."""

from __future__ import annotations

import struct
import zlib

import imagecodecs
import numpy as np
import pytest
import torch
from PIL import Image

from layerkit.data.pictures import Page, Picture, opened, read_picture, write_pages, write_picture
from layerkit.errors import DataError


@pytest.fixture
def deep() -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(65536, (3, 11, 7), generator=generator, dtype=torch.int32).to(torch.uint16)


@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("channels", [1, 3])
def test_sixteen_bits_are_kept(tmp_path, deep, channels, alpha):
    path = tmp_path / "a.png"
    write_picture(path, Picture(deep[:channels], deep[2] if alpha else None))
    by_libpng = imagecodecs.png_decode(path.read_bytes())
    assert by_libpng.dtype == np.uint16
    again = read_picture(path)
    assert torch.equal(again.pixels, deep[:channels])
    assert (again.alpha is not None) == alpha
    assert again.alpha is None or torch.equal(again.alpha, deep[2])


def test_grey_of_sixteen_bits_is_what_pillow_reads(tmp_path, deep):
    write_picture(tmp_path / "a.png", Picture(deep[:1]))
    with Image.open(tmp_path / "a.png") as image:
        assert np.array_equal(np.asarray(image), deep[0].numpy())


def test_a_transparent_colour_of_sixteen_bits(tmp_path, deep):
    deep[:, 2, 3] = torch.tensor([1, 2, 3], dtype=torch.uint16)
    png = imagecodecs.png_encode(deep.permute(1, 2, 0).contiguous().numpy())
    place = png.index(b"IDAT") - 4
    chunk = b"tRNS" + bytes([0, 1, 0, 2, 0, 3])
    whole = png[:place] + struct.pack(">I", 6) + chunk + struct.pack(">I", zlib.crc32(chunk)) + png[place:]
    (tmp_path / "a.png").write_bytes(whole)
    picture = read_picture(tmp_path / "a.png")
    assert torch.equal(picture.pixels, deep)
    assert (picture.alpha.int() == 0).nonzero().tolist() == [[2, 3]]
    assert picture.alpha[0, 0] == 65535


@pytest.mark.parametrize("suffix", ["png", "gif", "webp"])
def test_every_picture_of_an_animation(tmp_path, suffix):
    frames = [Image.new("RGB", (5, 4), colour) for colour in ("#ff0000", "#0000ff", "#00ff00")]
    options = {"lossless": True} if suffix == "webp" else {}
    path = tmp_path / f"a.{suffix}"
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=[100, 250, 70], loop=0, **options)
    for name in ("again.png", f"again.{suffix}"):
        with opened(path) as source:
            assert source.count == 3
            write_pages(tmp_path / name, source.pages(), source)
        with Image.open(tmp_path / name) as image, opened(tmp_path / name) as source:
            assert (image.n_frames, image.info["loop"]) == (3, 0)
            pages = list(source.pages())
            assert [page.picture.pixels[:, 0, 0].tolist() for page in pages] == [[255, 0, 0], [0, 0, 255], [0, 255, 0]]
            assert [page.duration for page in pages] == [100, 250, 70]


def test_an_animation_of_sixteen_bits_is_refused(tmp_path, deep):
    write_picture(tmp_path / "a.png", Picture(deep))
    with opened(tmp_path / "a.png") as source:
        source.count = 2
        write_pages(tmp_path / "b.png", [Page(Picture(deep))] * 2, source)
    with pytest.raises(DataError, match=r"b\.png: an animation of 16 bits; expected one of 8 bits"):
        read_picture(tmp_path / "b.png")
