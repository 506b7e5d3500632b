"""Pictures that Pillow reads: PNG, JPEG, BMP, WebP and GIF, and TIFF files of 8 bits.

Pillow reads PNG files of 16 bits and several channels as 8 bits; their pixels come from libpng, by imagecodecs.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import BinaryIO

import imagecodecs
import numpy as np
from PIL import Image, ImageCms

from layerkit.data.pictures.formats import FORMATS
from layerkit.data.pictures.picture import Page, Picture
from layerkit.data.pictures.source import Pixels, Source, picture_of, upright
from layerkit.data.pictures.tags import ORIENTATION, tags_of
from layerkit.errors import DataError

ANIMATED = ("PNG", "WEBP", "GIF")
"""Formats whose further pictures are those of an animation. In a JPEG file they are previews and maps."""
_DEPTH_AT = 24
"""Where a PNG file says how many bits a value has."""


class PillowSource(Source):
    """An open file that Pillow reads.

    Args:
        file: the open file.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._image = Image.open(file, formats=sorted(set(FORMATS.values())))
        frames = getattr(self._image, "n_frames", 1)
        self.count = frames if self._image.format in ANIMATED else 1
        if frames > self.count:
            self.note = f"of {frames} pictures in the file the first"
        loop = self._image.info.get("loop", 0 if self.count > 1 else 1)
        self.loop = loop if isinstance(loop, int) else 0
        file.seek(0)
        self._deep = self._image.format == "PNG" and file.read(_DEPTH_AT + 1)[-1] == 16
        if self._deep and self.count > 1:
            raise DataError("an animation of 16 bits; expected one of 8 bits; write its pictures as a TIFF file")
        self._image.load()
        # A profile for printers has been followed when the picture has the colours of screens.
        gray, for_printers = _is_gray(self._image) and self.count == 1, self._image.mode == "CMYK"
        self.tags = tags_of(self._image).fitting(4 if for_printers else 1 if gray else 3)
        if _orientation(self._image) > 4:
            self.tags = self.tags.turned()

    def read(self) -> Iterator[Page]:
        """Yield the picture, or those of an animation."""
        for number in range(self.count):
            self._image.seek(number)
            self._image.load()
            if self._deep:
                yield Page(self._deep_picture())
            else:
                duration = self._image.info.get("duration", 0)
                yield Page(picture(self._image, in_colour=self.count > 1), duration if self.count > 1 else 0)

    def _deep_picture(self) -> Picture:
        self._file.seek(0)
        pixels = imagecodecs.png_decode(self._file.read())
        alpha = pixels.ndim == 3 and pixels.shape[2] in (2, 4)
        return picture_of(upright(pixels, _orientation(self._image)), alpha)


def picture(image: Image.Image, in_colour: bool = False) -> Picture:
    """Return a loaded image as gray or colours of 8 bits, with transparency if it has any.

    Args:
        image: of any mode with up to 8 bits.
        in_colour: whether it gets colours and transparency in any case, like the pictures of an animation, which all
            have the same kind.
    """
    transparent = in_colour or "transparency" in image.info or image.mode in ("LA", "La", "PA", "RGBA", "RGBa")
    gray = not in_colour and _is_gray(image)
    mode = ("LA" if gray else "RGBA") if transparent else ("L" if gray else "RGB")
    if image.mode.startswith("I;16"):
        pixels: Pixels = np.asarray(image)
    else:
        pixels = np.asarray(_in_colours_of_screens(image).convert(mode))
    return picture_of(upright(pixels, _orientation(image)), transparent and not image.mode.startswith("I;16"))


def _is_gray(image: Image.Image) -> bool:
    return image.mode in ("1", "L", "LA", "La") or image.mode.startswith("I;16")


def _in_colours_of_screens(image: Image.Image) -> Image.Image:
    """Return a CMYK image converted to RGB, with its profile if it has one; other images unchanged."""
    profile = image.info.get("icc_profile")
    if image.mode != "CMYK" or not profile:
        return image
    try:
        printer = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        converted = ImageCms.profileToProfile(image, printer, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError):  # a damaged profile, or one for something else
        return image
    return image if converted is None else converted


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(ORIENTATION, 1))
    except Exception:  # Pillow stumbles in many ways over tags that somebody wrote wrongly; the picture is whole
        return 1
