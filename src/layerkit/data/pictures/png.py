"""PNG files, of 8 or 16 bits, with one picture or an animation, and with metadata.

The pixels are compressed by libpng, through imagecodecs, which writes neither animations nor metadata. So its files are
split into their chunks, and put together again with additional ones. The chunks are those of the PNG
specification, third edition (W3C 2025), sections 5.3 and 11.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator
from typing import BinaryIO

import imagecodecs

from layerkit.data.pictures.picture import Page
from layerkit.data.pictures.source import array_of
from layerkit.data.pictures.tags import Tags

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_INCHES_A_METRE = 1 / 0.0254


def write_png(
    file: BinaryIO, pages: Iterable[Page], tags: Tags, count: int = 1, loop: int = 0, level: int | None = None
) -> None:
    """Write a picture, or an animation of pictures of one size and kind, as a PNG file.

    Args:
        file: open for writing.
        pages: as many as ``count``.
        tags: the metadata.
        count: how many pictures there are.
        loop: how often an animation is shown, 0 for ever.
        level: of the compression, from 0 to 9; None is a good one.
    """
    number = 0
    for index, page in enumerate(pages):
        array = array_of(page.picture)
        parts = list(_chunks(bytes(imagecodecs.png_encode(array, level=level))))
        height, width = array.shape[:2]
        if index == 0:
            file.write(SIGNATURE + _chunk(b"IHDR", next(data for kind, data in parts if kind == b"IHDR")))
            file.writelines(_chunk(*part) for part in _described(tags.fitting(len(page.picture.pixels))))
            if count > 1:
                file.write(_chunk(b"acTL", struct.pack(">II", count, loop)))
        if count > 1:
            milliseconds = min(65535, round(page.duration))
            frame = struct.pack(">IIIIIHHBB", number, width, height, 0, 0, milliseconds, 1000, 0, 0)
            file.write(_chunk(b"fcTL", frame))
            number += 1
        for data in (data for kind, data in parts if kind == b"IDAT"):
            if index == 0:
                file.write(_chunk(b"IDAT", data))
            else:
                file.write(_chunk(b"fdAT", struct.pack(">I", number) + data))
                number += 1
    file.write(_chunk(b"IEND", b""))


def _described(tags: Tags) -> Iterator[tuple[bytes, bytes]]:
    """Yield the kind and the content of the chunks for what travels with a picture."""
    if tags.icc is not None:
        yield b"iCCP", b"ICC profile\0\0" + zlib.compress(tags.icc)
    if tags.dpi is not None:
        across, down = (round(dpi * _INCHES_A_METRE) for dpi in tags.dpi)
        yield b"pHYs", struct.pack(">IIB", across, down, 1)
    if tags.exif is not None:
        yield b"eXIf", tags.exif


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(data, zlib.crc32(kind)))


def _chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the kind and the content of the chunks of a whole file."""
    start = len(SIGNATURE)
    while start < len(png):
        (length,) = struct.unpack_from(">I", png, start)
        yield png[start + 4 : start + 8], png[start + 8 : start + 8 + length]
        start += length + 12
