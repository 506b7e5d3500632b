"""Pictures as cameras and telephones write them: RAW through rawpy, HEIC through pillow-heif, packages of an extra."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np
from PIL import Image

from layerkit.data.pictures.picture import Page
from layerkit.data.pictures.source import Source, check_size, picture_of
from layerkit.data.pictures.tags import DESCRIPTIONS, ORIENTATION, Tags, exif_bytes, tags_of_tiff
from layerkit.errors import DataError

EXTRA = "layerkit[raw]"
"""The command that installs the packages."""


class RawSource(Source):
    """An open RAW file, developed by LibRaw to sRGB with the camera's white balance.

    Args:
        file: the open file.
    """

    note = "developed by LibRaw with the camera's white balance"

    def __init__(self, file: BinaryIO) -> None:
        self._rawpy = needed("rawpy", "RAW")
        self._file = file
        self.tags, _ = tags_of_tiff(file)

    def read(self) -> Iterator[Page]:
        """Yield the picture, 16 bits, the right way up."""
        self._file.seek(0)
        with self._rawpy.imread(self._file) as raw:
            check_size(raw.sizes.height, raw.sizes.width)
            # Keep the brightness: otherwise LibRaw stretches each picture depending on its content.
            pixels = raw.postprocess(output_bps=16, use_camera_wb=True, no_auto_bright=True)
        yield Page(picture_of(pixels, alpha=False))


class HeifSource(Source):
    """An open HEIC or HEIF file.

    Args:
        file: the open file.
    """

    def __init__(self, file: BinaryIO) -> None:
        heif = needed("pillow_heif", "HEIC")
        self._images = heif.open_heif(file, convert_hdr_to_8bit=False, bgr_mode=False)
        if len(self._images) > 1:
            self.note = f"of {len(self._images)} pictures in the file the first"
        info = self._images.info
        icc = info.get("icc_profile")
        gray = self._images.mode.split(";")[0] in ("L", "LA")
        self.tags = Tags(icc or None, _exif(info.get("exif"))).fitting(1 if gray else 3)

    def read(self) -> Iterator[Page]:
        """Yield the picture, of 8 bits, or of 16 where it has more than 8."""
        image: Any = self._images
        check_size(image.size[1], image.size[0])
        yield Page(picture_of(np.asarray(image), alpha=image.mode.split(";")[0] in ("LA", "RGBA", "RGBa")))


def needed(package: str, what: str) -> Any:
    """Return a package of the extra.

    Args:
        package: its name in Python.
        what: the pictures that it reads.

    Raises:
        DataError: when it is not installed.
    """
    try:
        return importlib.import_module(package)
    except ImportError:
        raise DataError(f"{what} pictures need the package {package}: pip install '{EXTRA}'") from None


def _exif(data: bytes | None) -> bytes | None:
    """Return the tags of a HEIC file, whose orientation has been followed already."""
    if not data:
        return None
    exif = Image.Exif()
    try:
        exif.load(data)
        return exif_bytes(exif, DESCRIPTIONS.intersection(exif) - {ORIENTATION})
    except Exception:  # as with those of other files, what cannot be read does not travel
        return None
