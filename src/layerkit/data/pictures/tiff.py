"""TIFF files, with any number of pages: 8 bits as Pillow reads them, and everything else by tifffile.

Pillow reads no more than 8 bits of several channels, and no floats but gray ones.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Iterator
from typing import BinaryIO

import numpy as np
import tifffile
from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from layerkit.data.pictures.picture import Page
from layerkit.data.pictures.pillow import picture
from layerkit.data.pictures.source import Pixels, Source, array_of, check_size, picture_of, upright
from layerkit.data.pictures.tags import EXIF_FOLDER, GPS_FOLDER, Tags, tags_of_tiff
from layerkit.errors import DataError

MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
"""How TIFF files begin."""
MAX_SAMPLES = 8
"""Channels that anybody looks at."""
LEVEL = 6
"""Of the compression."""
MAX_BYTES = 2**31
"""A file with more is written with addresses of 64 bits, which not every program reads."""
_INVERTED, _GRAY, _RGB, _PALETTE, _CMYK = 0, 1, 2, 3, 5
"""What a page says of its colours."""

# What is wrong with a file is told by errors, and what is merely odd by nobody.
logging.getLogger("tifffile").addHandler(logging.NullHandler())


class TiffSource(Source):
    """An open TIFF file.

    Args:
        file: the open file.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._tiff = tifffile.TiffFile(file)
        self._pages = [page.aspage() for page in self._tiff.pages]
        if not self._pages:
            raise DataError("a TIFF file without pictures")
        self.count = len(self._pages)
        first = self._pages[0]
        self.tags, self._orientation = tags_of_tiff(file, first.iccprofile)
        channels = {_CMYK: 4, _PALETTE: 3}.get(int(first.photometric), 1 if first.samplesperpixel <= 2 else 3)
        self.tags = self.tags.fitting(channels)
        if self._orientation > 4:
            self.tags = self.tags.turned()
        # A PNG file holds one picture, or an animation, of up to 16 bits.
        if self.count > 1 or any(_kind(page) not in (np.uint8, np.uint16, np.bool_) for page in self._pages):
            self.suffix = ".tif"

    def read(self) -> Iterator[Page]:
        """Yield the pages."""
        image: Image.Image | None = None
        for number, page in enumerate(self._pages):
            check_size(page.imagelength, page.imagewidth)
            if _bits(page) > 8:
                pixels, alpha = _pixels(page)
                yield Page(picture_of(upright(pixels, self._orientation), alpha))
                continue
            if image is None:
                self._file.seek(0)
                image = Image.open(self._file, formats=["TIFF"])
            image.seek(number)
            image.load()
            yield Page(picture(image))


def write_tiff(file: BinaryIO, pages: Iterable[Page], source: Source, pixels: int) -> None:
    """Write pictures as the pages of a TIFF file.

    Args:
        file: open for reading and writing.
        pages: the pictures.
        source: the file that they are from.
        pixels: the bytes of all of them, about.
    """
    tags = source.tags
    with tifffile.TiffWriter(file, bigtiff=pixels > MAX_BYTES) as tiff:
        for number, page in enumerate(pages):
            array, gray = array_of(page.picture), len(page.picture.pixels) == 1
            whole = array.dtype.kind in "iu"
            fitting = tags.fitting(len(page.picture.pixels))
            tiff.write(
                array,
                photometric="minisblack" if gray else "rgb",
                planarconfig=None if array.ndim == 2 else "contig",
                extrasamples=None if page.picture.alpha is None else ["unassalpha"],
                compression="zlib",
                compressionargs={"level": LEVEL},
                predictor=whole,
                resolution=tags.dpi,
                resolutionunit=None if tags.dpi is None else "inch",
                iccprofile=fitting.icc,
                extratags=_described(tags) if number == 0 else (),
                metadata=None,
                software=False,
            )
    _put_folders(file, tags)


def _bits(page: tifffile.TiffPage) -> int:
    return int(page.bitspersample)


def _kind(page: tifffile.TiffPage) -> object:
    """Return the dtype of a page's numbers; for 9 to 15 bits that of 16, and for a picture of bits bytes."""
    return None if page.dtype is None else page.dtype.type


def _pixels(page: tifffile.TiffPage) -> tuple[Pixels, bool]:
    """Return a page of more than 8 bits as an array (H, W, C), and whether its last channel is transparency."""
    samples, colours = page.samplesperpixel, int(page.photometric)
    axes = page.axes.replace("I", "").replace("Z", "")
    if samples > MAX_SAMPLES or sorted(axes) not in (["X", "Y"], ["S", "X", "Y"]) or page.dtype is None:
        raise DataError(f"pixels of {samples} numbers of {_bits(page)} bits; expected 1 (gray) or 3 (colours)")
    # What is missing would be read as black.
    if len(page.dataoffsets) != math.prod(page.chunked) or not all(page.databytecounts):
        raise DataError("a part of the picture is missing; restore the file")
    pixels = page.asarray().reshape([size for size, axis in zip(page.shape, page.axes, strict=True) if axis in axes])
    pixels = np.moveaxis(pixels, axes.index("S"), 2) if "S" in axes else pixels[..., None]
    if pixels.dtype.kind not in "iuf":
        raise DataError(f"pixels of type {pixels.dtype}; expected whole numbers or floats")
    if pixels.dtype.kind == "u" and _bits(page) < 8 * pixels.dtype.itemsize:
        # Of 12 bits, say: the largest number is white all the same.
        pixels = (pixels.astype(np.float64) * (65535 / (2 ** _bits(page) - 1))).round().astype(np.uint16)
    if colours == _CMYK and samples in (4, 5):
        most = float(np.iinfo(pixels.dtype).max) if pixels.dtype.kind == "u" else 1.0
        ink = pixels[..., :4].astype(np.float64) / most
        colour = (most * (1 - ink[..., :3]) * (1 - ink[..., 3:])).round().astype(pixels.dtype)
        return np.concatenate([colour, pixels[..., 4:]], axis=2), samples == 5
    if colours == _INVERTED and pixels.dtype.kind == "u":
        pixels = np.concatenate([np.iinfo(pixels.dtype).max - pixels[..., :1], pixels[..., 1:]], axis=2)
    known = {_GRAY: (1, 2), _INVERTED: (1, 2), _RGB: (3, 4)}.get(colours, ())
    if samples not in known:
        raise DataError(
            f"{samples} channels of {_bits(page)} bits ({tifffile.PHOTOMETRIC(colours).name.lower()}); expected 1 "
            "(gray) or 3 (red, green and blue), with or without transparency; write each channel as a page of its own"
        )
    return pixels, samples in (2, 4)


def _described(tags: Tags) -> list[tuple[int, int, int, object, bool]]:
    """Return the tags with the descriptions of a picture as tifffile takes them, and places for whole folders."""
    found: list[tuple[int, int, int, object, bool]] = []
    for tag, value in _exif(tags).items():
        if tag in (EXIF_FOLDER, GPS_FOLDER):
            found.append((tag - 1, 4, 1, 0, True))  # tifffile writes no such tags; see below
        elif isinstance(value, str):
            found.append((tag, 2, 0, value.encode("utf-8", "replace"), True))
    return found


def _put_folders(file: BinaryIO, tags: Tags) -> None:
    """Write the tags of the camera and of the place at the end of a file, to where :func:`_described` left places."""
    exif = _exif(tags)
    folders = {tag: exif.get_ifd(tag) for tag in (EXIF_FOLDER, GPS_FOLDER) if tag in exif}
    for tag, values in folders.items():
        file.seek(0)
        with tifffile.TiffFile(file) as tiff:
            end = file.seek(0, 2)
            end += file.write(b"\0" * (end % 2))
            folder = ImageFileDirectory_v2(prefix=b"II" if tiff.byteorder == "<" else b"MM")
            for name, value in values.items():
                folder[name] = value
            file.write(folder.tobytes(end))
            place = tiff.pages.first.tags[tag - 1]
            place.overwrite(end)
            file.seek(place.offset)
            file.write(tag.to_bytes(2, "little" if tiff.byteorder == "<" else "big"))


def _exif(tags: Tags) -> Image.Exif:
    exif = Image.Exif()
    if tags.exif is not None:
        exif.load(tags.exif)
    return exif
