"""TIFF files of more than 8 bits, of floats, and with many pages."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from layerkit.data.pictures import Picture, opened, read_picture, write_pages, write_picture
from layerkit.errors import DataError


def values(dtype: type, *shape: int) -> np.ndarray:
    drawn = np.random.default_rng(0).random(shape or (9, 13, 3))
    return (drawn * (np.iinfo(dtype).max if np.issubdtype(dtype, np.integer) else 3)).astype(dtype)


def planes(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.moveaxis(np.atleast_3d(array), 2, 0).copy())


@pytest.mark.parametrize(
    "options", [{}, {"compression": "lzw", "predictor": True}, {"compression": "zlib"}, {"tile": (16, 16)}]
)
@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_colours_of_sixteen_bits(tmp_path, options, byteorder):
    given = values(np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", given, photometric="rgb", byteorder=byteorder, **options)
    assert torch.equal(read_picture(tmp_path / "a.tif").pixels, planes(given))


@pytest.mark.parametrize("dtype", [np.uint16, np.int16, np.uint32, np.int32, np.float16, np.float32, np.float64])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_kind_of_number_comes_back(tmp_path, dtype, channels):
    given = values(dtype, 9, 13) if channels == 1 else values(dtype)
    tifffile.imwrite(tmp_path / "a.tif", given, photometric="rgb" if channels == 3 else "minisblack")
    with opened(tmp_path / "a.tif") as source:
        assert source.suffix == (".png" if dtype is np.uint16 else ".tif")
        write_pages(tmp_path / "b.tif", source.pages(), source)
    again = tifffile.imread(tmp_path / "b.tif")
    assert again.dtype == dtype
    assert np.array_equal(again, given)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_transparency(tmp_path, channels, dtype):
    given = planes(values(dtype, 9, 13, channels + 1))
    write_picture(tmp_path / "a.tif", Picture(given[:-1], given[-1]))
    again = read_picture(tmp_path / "a.tif")
    assert torch.equal(again.pixels, given[:-1])
    assert torch.equal(again.alpha, given[-1])


def test_channels_that_lie_apart_and_white_that_is_zero(tmp_path):
    given = values(np.uint16)
    tifffile.imwrite(tmp_path / "apart.tif", np.moveaxis(given, 2, 0), photometric="rgb", planarconfig="separate")
    with opened(tmp_path / "apart.tif") as source:
        assert torch.equal(next(source.pages()).picture.pixels, planes(given))
        write_pages(tmp_path / "together.tif", source.pages(), source)
    assert np.array_equal(tifffile.imread(tmp_path / "together.tif"), given)
    tifffile.imwrite(tmp_path / "negative.tif", 65535 - given[..., 0], photometric="miniswhite")
    assert torch.equal(read_picture(tmp_path / "negative.tif").pixels, planes(given[..., 0]))


def test_sixteen_bits_for_printers_become_colours(tmp_path):
    ink = np.zeros((2, 2, 4), np.uint16)
    ink[0, 0] = (0, 65535, 65535, 0)
    ink[1, 1] = (0, 0, 0, 65535)
    tifffile.imwrite(tmp_path / "a.tif", ink, photometric="separated")
    pixels = read_picture(tmp_path / "a.tif").pixels.int()
    assert pixels[:, 0, 0].tolist() == [65535, 0, 0]
    assert pixels[:, 1, 1].tolist() == [0, 0, 0]
    assert pixels[:, 0, 1].tolist() == [65535, 65535, 65535]


def test_twelve_bits_become_sixteen(tmp_path):
    given = np.array([[0, 1, 2048, 4095]], np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", given, bitspersample=12, photometric="minisblack")
    assert read_picture(tmp_path / "a.tif").pixels.int().tolist() == [[[0, 16, 32776, 65535]]]


@pytest.mark.parametrize("options", [{}, {"imagej": True}, {"ome": True}, {"bigtiff": True}])
def test_every_page_of_a_stack(tmp_path, options):
    given = values(np.uint16, 5, 9, 13)
    tifffile.imwrite(tmp_path / "a.tif", given, photometric="minisblack", **options)
    with opened(tmp_path / "a.tif") as source:
        assert (source.count, source.suffix) == (5, ".tif")
        write_pages(tmp_path / "b.tif", source.pages(), source)
    with tifffile.TiffFile(tmp_path / "b.tif") as tiff:
        assert len(tiff.pages) == 5
    assert np.array_equal(tifffile.imread(tmp_path / "b.tif"), given)


def test_pages_of_different_kinds(tmp_path):
    pages = [values(np.uint16), values(np.uint8, 5, 6), values(np.float32, 4, 4)]
    with tifffile.TiffWriter(tmp_path / "a.tif") as tiff:
        for page in pages:
            tiff.write(page, photometric="rgb" if page.ndim == 3 else "minisblack", metadata=None)
    with opened(tmp_path / "a.tif") as source:
        read = [page.picture.pixels for page in source.pages()]
    assert all(torch.equal(pixels, planes(page)) for pixels, page in zip(read, pages, strict=True))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_orientation_is_followed(tmp_path, orientation, dtype):
    given = values(dtype)
    tifffile.imwrite(tmp_path / "a.tif", given, photometric="rgb", extratags=[(274, 3, 1, orientation, True)])
    turns = {
        2: np.fliplr,
        3: lambda a: np.rot90(a, 2),
        4: np.flipud,
        5: lambda a: a.swapaxes(0, 1),
        6: lambda a: np.rot90(a, -1),
    }
    turns |= {7: lambda a: np.rot90(a, 2).swapaxes(0, 1), 8: np.rot90}
    expected = planes(turns.get(orientation, lambda a: a)(given))
    with opened(tmp_path / "a.tif") as source:
        assert torch.equal(next(source.pages()).picture.pixels, expected)
        write_pages(tmp_path / "b.tif", source.pages(), source)
    assert torch.equal(read_picture(tmp_path / "b.tif").pixels, expected)


@pytest.mark.parametrize(
    ("given", "options", "sentence"),
    [
        (
            values(np.uint16, 9, 13, 5),
            {"photometric": "minisblack", "planarconfig": "contig"},
            "5 channels of 16 bits .minisblack.; expected 1",
        ),
        (
            values(np.uint16, 9, 13, 9),
            {"photometric": "minisblack", "planarconfig": "contig"},
            "pixels of 9 numbers of 16 bits; expected 1",
        ),
        (values(np.float32).astype(np.complex64), {"photometric": "minisblack"}, "complex64"),
        (values(np.uint16), {"photometric": "cielab"}, "3 channels of 16 bits .cielab.; expected 1"),
    ],
)
def test_what_is_no_picture_is_told(tmp_path, given, options, sentence):
    tifffile.imwrite(tmp_path / "a.tif", given, **options)
    with pytest.raises(DataError, match=rf"a\.tif: .*{sentence}"):
        read_picture(tmp_path / "a.tif")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_truncated(tmp_path, share):
    tifffile.imwrite(tmp_path / "a.tif", values(np.uint16, 90, 90, 3), photometric="rgb")
    whole = (tmp_path / "a.tif").read_bytes()
    (tmp_path / "a.tif").write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(DataError, match=r"a\.tif: damaged or incomplete picture"):
        read_picture(tmp_path / "a.tif")


def test_a_part_that_is_missing_is_not_read_as_black(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", values(np.uint16, 90, 90, 3), photometric="rgb", tile=(32, 32))
    with tifffile.TiffFile(tmp_path / "a.tif", mode="r+b") as tiff:
        counts = tiff.pages.first.tags["TileByteCounts"]
        counts.overwrite([0, *counts.value[1:]])
    with pytest.raises(DataError, match=r"a\.tif: a part of the picture is missing; restore the file"):
        read_picture(tmp_path / "a.tif")


def test_a_page_that_is_too_large_is_refused_before_it_is_read(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif", bigtiff=False) as tiff:
        tiff.write(
            shape=(20_000, 20_000), dtype=np.uint16, data=iter([b"x"] * 20_000), rowsperstrip=1, compression="zlib"
        )
    with pytest.raises(DataError, match=r"a\.tif: more than 89 million pixels; make the picture smaller"):
        read_picture(tmp_path / "a.tif")


def test_a_large_file_has_long_addresses(tmp_path, monkeypatch):
    monkeypatch.setattr("layerkit.data.pictures.tiff.MAX_BYTES", 100)
    write_picture(tmp_path / "a.tif", Picture(planes(values(np.uint16))))
    assert (tmp_path / "a.tif").read_bytes()[:4] == b"II+\0"
    assert torch.equal(read_picture(tmp_path / "a.tif").pixels, planes(values(np.uint16)))


def test_eight_bits_are_what_pillow_reads(tmp_path):
    given = values(np.uint8)
    write_picture(tmp_path / "a.tif", Picture(planes(given)))
    with Image.open(tmp_path / "a.tif") as image:
        assert np.array_equal(np.asarray(image), given)
