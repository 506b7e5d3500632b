"""Writes pictures to a file, in the format of its suffix. The file appears complete or not at all."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import torch
from PIL import Image

from layerkit.data.pictures.arrayfiles import ArraySource, write_arrays
from layerkit.data.pictures.formats import ARRAYS, FORMATS
from layerkit.data.pictures.picture import Page, Picture
from layerkit.data.pictures.png import write_png
from layerkit.data.pictures.source import Source, array_of
from layerkit.data.pictures.tags import EXIF_MARK
from layerkit.data.pictures.tiff import write_tiff
from layerkit.disk import replaced
from layerkit.errors import DataError

QUALITY = 95
"""The quality of JPEG files."""
_WITHOUT_ALPHA = {"JPEG", "BMP"}
_FORMATS_OF_ANIMATIONS = {"PNG", "WEBP", "GIF"}


class _Single(Source):
    """What a picture that comes from no file is written like."""

    def read(self) -> Iterator[Page]:
        return iter(())


def write_picture(path: str | Path, picture: Picture) -> None:
    """Write a picture in the format of the path's suffix.

    Raises:
        DataError: when the suffix stands for no known format, or for one that cannot hold the picture.
        RunError: when the file cannot be written.
    """
    write_pages(path, [Page(picture)], _Single())


def write_pages(path: str | Path, pages: Iterable[Page], source: Source) -> None:
    """Write pictures, one after another, with their metadata.

    Args:
        path: of the file.
        pages: as many as the source has, of the same sizes.
        source: the file that they are from.

    Raises:
        DataError: when the suffix stands for no known format, or for one that cannot hold the pictures.
        RunError: when the file cannot be written.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    name = FORMATS.get(suffix)
    iterator = iter(pages)
    # Before there is a file: making the first picture may fail.
    first = next(iterator)
    pages = itertools.chain([first], iterator)
    if suffix in ARRAYS and isinstance(source, ArraySource):
        with replaced(path) as file:
            write_arrays(file, pages, source)
        return
    reason = _refusal(suffix, first.picture, source)
    if reason is not None:
        raise DataError(f"{path}: {reason}")
    with replaced(path) as file:
        if name == "PNG":
            write_png(file, pages, source.tags, source.count, source.loop)
        elif name == "TIFF":
            write_tiff(file, pages, source, source.count * array_of(first.picture).nbytes)
        else:
            _write_by_pillow(file, name or "", pages, source)


def _refusal(suffix: str, picture: Picture, source: Source) -> str | None:
    """Return why a format cannot hold pictures, and what can; None where it can."""
    name = FORMATS.get(suffix)
    kind = str(picture.pixels.dtype).removeprefix("torch.")
    if name is None:
        return f"cannot write a picture as {suffix or 'a file without suffix'!r}; use .png"
    if name == "TIFF":
        return None
    if source.count > 1 and name not in _FORMATS_OF_ANIMATIONS:
        return f"{name} holds one picture, and there are {source.count}; use .tif"
    if name == "PNG":
        return None if picture.pixels.dtype in (torch.uint8, torch.uint16) else f"PNG holds no {kind}; use .tif"
    if picture.pixels.dtype != torch.uint8:
        return f"{name} holds 8 bits, and the picture is {kind}; use .png or .tif"
    if picture.alpha is not None and name in _WITHOUT_ALPHA:
        return f"{name} has no transparency and the picture has; use .png"
    return None


def _write_by_pillow(file: BinaryIO, name: str, pages: Iterable[Page], source: Source) -> None:
    """Write pictures of 8 bits; of an animation all are in memory at once."""
    shown = list(pages)
    images = [Image.fromarray(array_of(page.picture)) for page in shown]
    tags = source.tags.fitting(len(shown[0].picture.pixels))
    options: dict[str, object] = {}
    if name == "JPEG":
        options |= {"quality": QUALITY, "subsampling": 0}
    if name == "WEBP":
        options |= {"lossless": True}
    if name in ("JPEG", "WEBP"):
        options |= {} if tags.icc is None else {"icc_profile": tags.icc}
        options |= {} if tags.exif is None else {"exif": EXIF_MARK + tags.exif}
    if tags.dpi is not None:
        options["dpi"] = tags.dpi
    if len(images) > 1:
        durations = [round(page.duration) for page in shown]
        options |= {"save_all": True, "append_images": images[1:], "duration": durations, "loop": source.loop}
    images[0].save(file, format=name, **options)
