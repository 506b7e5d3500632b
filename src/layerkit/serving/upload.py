"""Turns the bytes of a picture file into those of the denoised picture, all in memory."""

from __future__ import annotations

import io
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from layerkit.data.pictures import Page, Picture, fitted, in_whole_numbers, opened, write_png
from layerkit.denoising.blind import BlindDenoiser
from layerkit.denoising.denoiser import Denoiser, Progress
from layerkit.errors import DataError

COMPRESSION = 1
"""Of PNG files: more takes three times as long, seconds for a large picture, and the browser is on this computer."""


class Answer(NamedTuple):
    """A denoised picture.

    Attributes:
        png: its file.
        found: which noise the picture had, in words.
    """

    png: bytes
    found: str


def denoised_file(denoiser: Denoiser, body: bytes, name: str, strength: str, progress: Progress) -> Answer:
    """Return the denoised picture as a PNG file of 8 or 16 bits; its transparency and its metadata stay.

    An animation stays one. Of the pages of other files, which PNG cannot hold, only the first one is denoised; floats
    become 16 bits.

    Args:
        denoiser: of a network that is told the level of the noise.
        body: the bytes of a picture file.
        name: of the file, for messages and its suffix.
        strength: a number, what the estimated level of the noise is multiplied by.
        progress: called after each tile.

    Raises:
        TooLargeError: when it has too many pixels.
        DataError: when it is no picture, or a damaged one, or the strength is no number.
        ArgumentError: when the strength is too small or too large.
    """
    try:
        blind = BlindDenoiser(denoiser, float(strength))
    except ValueError:
        raise DataError(f'strength: expected a number from 0 to 4, such as 1.5, not "{strength}"') from None
    found: list[str] = []
    with opened(name, body) as source:
        shown = source.count if source.suffix == ".png" else 1

        def pages() -> Iterator[Page]:
            for page in islice(source.pages(), shown):
                pixels, alpha = page.picture.pixels, page.picture.alpha
                result = blind.restore(pixels, progress=progress, scale=fitted(pixels))
                found.append(str(result))
                opaque = None if alpha is None else in_whole_numbers(alpha[None])[0]
                yield Page(Picture(in_whole_numbers(result.pixels), opaque), page.duration)

        png = io.BytesIO()
        write_png(png, pages(), source.tags, shown, source.loop, COMPRESSION)
        notes = [source.note] if source.note else []
        if shown < source.count:
            notes.append(f"of {source.count} pictures in the file the first")
        elif shown > 1:
            notes.append(f"the first of {shown} pictures")
    return Answer(png.getvalue(), "; ".join([found[0], *notes]))
