"""Metadata of picture files, and which of it is copied into the file of the denoised picture."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import BinaryIO

from PIL import Image

ORIENTATION = 0x0112
_X_RESOLUTION, _Y_RESOLUTION, _RESOLUTION_UNIT = 0x011A, 0x011B, 0x0128
_NO_UNIT, _CENTIMETRE = 1, 3
EXIF_FOLDER, GPS_FOLDER = 0x8769, 0x8825
"""Tags that stand for further tags: those of the camera and those of the place."""
DESCRIPTION = 0x010E
_OF_TIFFFILE = '{"shape"'
"""How tifffile begins its descriptions, which say how the numbers of that file lie."""
DESCRIPTIONS = {
    *(
        DESCRIPTION,
        0x010F,
        0x0110,
        0x0131,
        0x0132,
        0x013B,
        0x013C,
        0x8298,
        0x4746,
        0x9C9B,
        0x9C9C,
        0x9C9D,
        0x9C9E,
        0x9C9F,
    ),
    *(EXIF_FOLDER, GPS_FOLDER),
}
"""The tags of a TIFF file that describe the picture, and not how its pixels are stored."""

EXIF_MARK = b"Exif\0\0"
"""Stands before the tags in JPEG files."""
_ICC_COLOURS = {1: b"GRAY", 3: b"RGB "}


@dataclass(frozen=True)
class Tags:
    """The metadata of a picture.

    Attributes:
        icc: the colour profile.
        exif: what the camera wrote, as the bytes of a TIFF file without a picture; without the orientation,
            because the picture was turned by it.
        dpi: pixels per inch, across and down.
    """

    icc: bytes | None = None
    exif: bytes | None = None
    dpi: tuple[float, float] | None = None

    def fitting(self, channels: int) -> Tags:
        """Return these tags without a colour profile that is not for pictures of so many channels."""
        fits = self.icc is not None and self.icc[16:20] == _ICC_COLOURS.get(channels)
        return self if fits else replace(self, icc=None)

    def turned(self) -> Tags:
        """Return the tags of the picture when it is turned by a quarter."""
        return self if self.dpi is None else replace(self, dpi=(self.dpi[1], self.dpi[0]))


def tags_of(image: Image.Image) -> Tags:
    """Return the tags of a loaded image that is the right way up, or will be."""
    icc, dpi = image.info.get("icc_profile"), image.info.get("dpi")
    # Many programs write tags, some of them wrongly. Tags that cannot be read are not copied.
    with contextlib.suppress(Exception):
        exif = image.getexif()
        dpi = dpi or _dpi(exif)
        return Tags(icc or None, exif_bytes(exif, set(exif) - {ORIENTATION}), _usable(dpi))
    return Tags(icc or None, None, _usable(dpi))


def tags_of_tiff(file: BinaryIO, icc: bytes | None = None) -> tuple[Tags, int]:
    """Return the tags of a file that is built like a TIFF file, and its orientation, 1 to 8."""
    with contextlib.suppress(Exception):
        exif = Image.Exif()
        file.seek(0)
        exif.load_from_fp(file)
        kept = DESCRIPTIONS.intersection(exif)
        if str(exif.get(DESCRIPTION)).startswith(_OF_TIFFFILE):
            kept -= {DESCRIPTION}
        tags = Tags(icc or None, exif_bytes(exif, kept), _usable(_dpi(exif)))
        return tags, int(exif.get(ORIENTATION, 1))
    return Tags(icc or None), 1


def exif_bytes(exif: Image.Exif, kept: Iterable[int]) -> bytes | None:
    """Return some of the tags as bytes; None when there are none."""
    chosen = Image.Exif()
    for tag in kept:
        chosen[tag] = exif.get_ifd(tag) if tag in (EXIF_FOLDER, GPS_FOLDER) else exif[tag]
    if not len(chosen):
        return None
    return chosen.tobytes().removeprefix(EXIF_MARK)


def _dpi(exif: Image.Exif) -> tuple[float, float] | None:
    across, down, unit = (exif.get(tag) for tag in (_X_RESOLUTION, _Y_RESOLUTION, _RESOLUTION_UNIT))
    if not across or not down or unit == _NO_UNIT:
        return None
    inch = 2.54 if unit == _CENTIMETRE else 1.0
    return inch * float(across), inch * float(down)


def _usable(dpi: tuple[float, float] | None) -> tuple[float, float] | None:
    """Return a resolution, unless it is one that no picture has."""
    try:
        across, down = (float(value) for value in dpi or ())
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return (across, down) if all(0.01 < value < 1e6 for value in (across, down)) else None
