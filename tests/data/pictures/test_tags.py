"""What travels with a picture, from and to every format that can hold it."""

from __future__ import annotations

import io
from functools import cache

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from layerkit.data.pictures import opened, read_picture, write_pages

EXPOSURE, LATITUDE = 0x829A, 1


@cache  # the time when it was made is in it
def profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def exif(orientation: int = 1) -> Image.Exif:
    tags = Image.Exif()
    tags[0x0112], tags[0x010F], tags[0x8298] = orientation, "Cam", "Me"
    tags.get_ifd(0x8769)[EXPOSURE] = 0.25
    tags.get_ifd(0x8825)[LATITUDE] = "N"
    return tags


def sixteen_bits(path) -> None:
    """Make the TIFF file of 8 bits one of 16, with its tags."""
    with tifffile.TiffFile(path) as tiff:
        array = tiff.asarray().astype(np.uint16) * 257
        page = tiff.pages.first
        kept = [(271, 2, 0, "Cam", True), (0x8298, 2, 0, "Me", True), (274, 3, 1, int(page.tags[274].value), True)]
        dpi, icc = page.get_resolution("inch"), page.iccprofile
    tifffile.imwrite(
        path,
        array,
        photometric="rgb",
        resolution=dpi,
        resolutionunit="inch",
        iccprofile=icc,
        extratags=kept,
        metadata=None,
    )


def read(path) -> tuple[bytes | None, Image.Exif, tuple[float, float] | None]:
    with opened(path) as source:
        tags = source.tags
    found = Image.Exif()
    if tags.exif:
        found.load(tags.exif)
    return tags.icc, found, tags.dpi


@pytest.mark.parametrize("target", ["b.png", "b.jpg", "b.webp", "b.tif"])
@pytest.mark.parametrize("given", ["a.png", "a.jpg", "a.webp", "a.tif"])
def test_what_cameras_wrote_travels(tmp_path, given, target):
    picture = Image.new("RGB", (8, 6), "#204060")
    picture.save(tmp_path / given, exif=exif().tobytes(), icc_profile=profile(), dpi=(300, 150))
    with opened(tmp_path / given) as source:
        write_pages(tmp_path / target, source.pages(), source)
    icc, found, dpi = read(tmp_path / target)
    assert icc == profile()
    assert (found[0x010F], found[0x8298]) == ("Cam", "Me")
    assert found.get_ifd(0x8769)[EXPOSURE] == 0.25
    assert found.get_ifd(0x8825)[LATITUDE] == "N"
    if "webp" not in given + target:  # which has no place for it
        assert dpi == pytest.approx((300, 150), rel=1e-4)


@pytest.mark.parametrize("target", ["b.png", "b.jpg", "b.webp", "b.tif"])
@pytest.mark.parametrize("given", ["a.png", "a.jpg", "a.webp", "a.tif"])
def test_orientation_is_applied_once_and_then_reset(tmp_path, given, target):
    picture = Image.fromarray(np.repeat(np.arange(48, dtype=np.uint8).reshape(6, 8) * 5, 3).reshape(6, 8, 3))
    lossless = {"quality": 100, "subsampling": 0} if given.endswith("jpg") else {"lossless": True}
    picture.save(tmp_path / given, exif=exif(6).tobytes(), dpi=(300, 150), **lossless)
    upright = read_picture(tmp_path / given).pixels
    assert tuple(upright.shape) == (3, 8, 6)
    assert upright[0, :, -1].tolist() == pytest.approx(list(range(0, 40, 5)), abs=3)
    with opened(tmp_path / given) as source:
        write_pages(tmp_path / target, source.pages(), source)
    with Image.open(tmp_path / target) as image:
        assert image.size == (6, 8)
        assert 0x0112 not in image.getexif()
    again = read_picture(tmp_path / target).pixels
    assert (again.int() - upright.int()).abs().max() <= 6
    _, found, dpi = read(tmp_path / target)
    assert found[0x010F] == "Cam"
    if "webp" not in given + target:
        assert dpi == pytest.approx((150, 300), rel=1e-4)


def test_what_travels_with_sixteen_bits(tmp_path):
    picture = Image.new("RGB", (8, 6), "#204060")
    picture.save(tmp_path / "a.tif", exif=exif(8).tobytes(), icc_profile=profile(), dpi=(300, 150))
    sixteen_bits(tmp_path / "a.tif")
    for target in ("b.png", "b.tif"):
        with opened(tmp_path / "a.tif") as source:
            write_pages(tmp_path / target, source.pages(), source)
        icc, found, dpi = read(tmp_path / target)
        assert icc == profile()
        assert (found[0x010F], found[0x8298]) == ("Cam", "Me")
        assert dpi == pytest.approx((150, 300), rel=1e-4)
        assert tuple(read_picture(tmp_path / target).pixels.shape) == (3, 8, 6)


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_the_profile_of_a_palette_stays(tmp_path, name):
    Image.new("RGB", (8, 6), "#204060").quantize(4).save(tmp_path / name, icc_profile=profile())
    assert read(tmp_path / name)[0] == profile()


def test_a_profile_for_other_channels_stays_behind(tmp_path):
    Image.new("L", (8, 6)).save(tmp_path / "a.png", icc_profile=profile())
    assert read(tmp_path / "a.png")[0] is None


def test_a_picture_for_printers_becomes_one_for_screens_by_its_profile(tmp_path, monkeypatch):
    image = Image.new("CMYK", (8, 6), (0, 255, 255, 0))  # there is no profile for printers to be had here
    image.save(tmp_path / "a.jpg", icc_profile=b"no profile", quality=100)
    assert read_picture(tmp_path / "a.jpg").pixels[:, 0, 0].tolist() == pytest.approx([255, 0, 0], abs=2)
    converted = []

    def convert(image, *profiles, outputMode):
        converted.append(outputMode)
        return Image.new("RGB", image.size, "#010203")

    image.save(tmp_path / "b.jpg", icc_profile=profile())
    monkeypatch.setattr(ImageCms, "profileToProfile", convert)
    assert read_picture(tmp_path / "b.jpg").pixels[:, 0, 0].tolist() == [1, 2, 3]
    assert converted == ["RGB"]
    assert read(tmp_path / "b.jpg")[0] is None


@pytest.mark.parametrize(
    "tags", [b"Exif\0\0II*\0\x08\0\0\0" + bytes(40), b"Exif\0\0nonsense", b"Exif\0\0II*\0\xff\xff\xff\xff"]
)
def test_tags_that_cannot_be_read_stay_behind(tmp_path, tags):
    file = io.BytesIO()
    Image.new("RGB", (8, 6), "#204060").save(file, format="JPEG", exif=tags)
    (tmp_path / "a.jpg").write_bytes(file.getvalue())
    with opened(tmp_path / "a.jpg") as source:
        write_pages(tmp_path / "b.png", source.pages(), source)
    assert tuple(read_picture(tmp_path / "b.png").pixels.shape) == (3, 6, 8)


@pytest.mark.parametrize(("unit", "expected"), [(1, None), (2, (100, 50)), (3, (254, 127))])
def test_units_of_the_resolution(tmp_path, unit, expected):
    array = np.zeros((4, 4, 3), np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", array, photometric="rgb", resolution=(100, 50), resolutionunit=unit)
    assert read(tmp_path / "a.tif")[2] == (None if expected is None else pytest.approx(expected))
