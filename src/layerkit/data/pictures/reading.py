"""Reads the pictures of a file. Everything that can be wrong with it becomes one error that names the file."""

from __future__ import annotations

import io
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import BinaryIO

from PIL import Image, UnidentifiedImageError
from torch import Tensor

from layerkit.data.pictures import formats
from layerkit.data.pictures.arrayfiles import ArraySource
from layerkit.data.pictures.camera import HeifSource, RawSource
from layerkit.data.pictures.picture import Picture
from layerkit.data.pictures.pillow import PillowSource
from layerkit.data.pictures.scale import in_whole_numbers
from layerkit.data.pictures.source import MAX_PIXELS, Source, too_large
from layerkit.data.pictures.tiff import MAGIC, TiffSource
from layerkit.errors import DataError, TooLargeError

_HEIF_BRANDS = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1")
_SILENCE = threading.Lock()
"""One thread at a time silences warnings, because their filters belong to the whole process."""


@contextmanager
def opened(path: str | Path, content: bytes | None = None) -> Iterator[Source]:
    """Open a file of pictures.

    Args:
        path: of the file.
        content: its bytes, if it is not on disk. Then the path is only its name, in messages and for its suffix.

    Raises:
        DataError: when there is no such file, or it does not begin as a file of a known kind. Going through its
            pictures raises the same when they are damaged.
    """
    with _told(path):
        # Closed below, where its errors are not told as errors of this file.
        file = open(path, "rb") if content is None else io.BytesIO(content)  # noqa: SIM115
    with file:
        with _told(path):
            source = _source(file, Path(path).suffix.lower())
        source.told = partial(_told, path)
        yield source


def read_picture(path: str | Path) -> Picture:
    """Return the picture in a file, the right way up; of several the first.

    Raises:
        DataError: when there is no such file, or it is no whole picture of a known format and a bearable size.
    """
    with opened(path) as source:
        return next(source.pages()).picture


def read_pixels(path: str | Path) -> Tensor:
    """Return the pixels of the picture in a file, of several the first, as whole numbers (C, H, W) of 8 or 16 bits.

    Other numbers become 16 bits; the value of white in floats is guessed from how large they are.

    Raises:
        DataError: when there is no such picture.
    """
    try:
        return in_whole_numbers(read_picture(path).pixels)
    except DataError as error:
        text = str(error)
        raise DataError(text if text.startswith(f"{path}: ") else f"{path}: {text}") from None


def _source(file: BinaryIO, suffix: str) -> Source:
    """Return the file as one of its kind, by its content, and where that says too little by its suffix."""
    beginning = file.read(12)
    file.seek(0)
    if suffix in formats.RAW:
        return RawSource(file)
    if suffix in formats.ARRAYS:
        return ArraySource(file)
    if beginning[4:8] == b"ftyp" and beginning[8:12] in _HEIF_BRANDS:
        return HeifSource(file)
    return TiffSource(file) if beginning.startswith(MAGIC) else PillowSource(file)


@contextmanager
def _told(path: str | Path) -> Iterator[None]:
    """Turn whatever is wrong with a file into an error that names it."""
    try:
        with _SILENCE, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            yield
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise DataError(f"{path}: is a folder, expected a picture file") from None
    except PermissionError:
        raise DataError(f"{path}: may not be read; check the file's permissions") from None
    except UnidentifiedImageError:
        raise DataError(f"{path}: not a picture in a known format ({formats.names()})") from None
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise TooLargeError(f"{path}: {too_large(Image.MAX_IMAGE_PIXELS or MAX_PIXELS)}") from None
    except DataError as error:
        raise type(error)(f"{path}: {error}") from None
    except Exception as error:
        # A damaged file raises whatever the decoder stumbles over: OSError, SyntaxError, ValueError, struct.error, ...
        text = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise DataError(f"{path}: damaged or incomplete picture ({text}); restore the file") from error
