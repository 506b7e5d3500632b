"""Turns the bytes of a picture file into those of the denoised picture, all in memory."""

from __future__ import annotations

import io
import warnings
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from layerkit.denoising.blind import BlindDenoiser
from layerkit.denoising.denoiser import Denoiser, Progress
from layerkit.errors import DataError, TooLargeError

FORMATS = ("JPEG", "PNG", "TIFF", "WEBP", "BMP", "GIF")
"""The formats that Pillow may decode; its forty others are seldom needed, and many of them are rarely tested."""
COMPRESSION = 1
"""Of PNG files, from 0 to 9: more takes seconds for a large picture, and the browser is on this computer."""


class Answer(NamedTuple):
    """A denoised picture.

    Attributes:
        png: its file.
        found: which noise the picture had, in words.
    """

    png: bytes
    found: str


def denoised_file(denoiser: Denoiser, body: bytes, strength: str, max_pixels: int, progress: Progress) -> Answer:
    """Return the denoised picture, in 8 bits; its transparency and its colour profile stay.

    Args:
        denoiser: of a network that is told the level of the noise.
        body: the bytes of a picture file.
        strength: a number, what the estimated level of the noise is multiplied by.
        max_pixels: that the picture may have.
        progress: called after each tile.

    Raises:
        TooLargeError: when it has more pixels than that.
        DataError: when it is no picture, or a damaged one, or the strength is no number.
        ArgumentError: when the strength is too small or too large.
    """
    try:
        blind = BlindDenoiser(denoiser, float(strength))
    except ValueError:
        raise DataError(f'strength: expected a number from 0 to 4, such as 1.5, not "{strength}"') from None
    image = _decoded(body, max_pixels)
    values = torch.from_numpy(np.array(image))
    planes = (values[None] if values.dim() == 2 else values.permute(2, 0, 1)).contiguous()
    colours = 1 if image.mode in ("L", "LA") else 3
    result = blind.restore(planes[:colours], progress=progress)
    png = _encoded(torch.cat([result.pixels, planes[colours:]]), image.info.get("icc_profile"))
    return Answer(png, str(result))


def _decoded(body: bytes, max_pixels: int) -> Image.Image:
    """Return a picture the right way up, of 8 bits: grey or in colour, with transparency where it has some."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = Image.open(io.BytesIO(body), formats=FORMATS)
            if image.width * image.height > max_pixels:
                raise TooLargeError(
                    f"the picture has {image.width} x {image.height} pixels, and at most {max_pixels / 1e6:g} million "
                    "can be taken; use layerkit denoise"
                )
            image.load()
            return _in_8_bits(ImageOps.exif_transpose(image))
    except Image.DecompressionBombError as error:
        raise TooLargeError(f"{error}; use a smaller picture") from None
    except UnidentifiedImageError:
        raise DataError(f"this is no picture in a known format ({', '.join(FORMATS)})") from None
    except DataError:
        raise
    except Exception as error:
        # A damaged file raises whatever the decoder stumbles over: OSError, SyntaxError, ValueError, struct.error, ...
        raise DataError(f"the picture is damaged or incomplete ({error})") from None


def _in_8_bits(image: Image.Image) -> Image.Image:
    if image.mode in ("I", "F") or image.mode.startswith("I;"):
        raise DataError("the picture has more than 8 bits for each value; use layerkit denoise")
    grey = image.mode in ("1", "L", "LA", "La")
    transparent = "transparency" in image.info or image.mode in ("LA", "La", "PA", "RGBA", "RGBa")
    mode = ("L" if grey else "RGB") + ("A" if transparent else "")
    if image.mode == mode:
        return image
    converted = image.convert(mode)
    if image.mode == "CMYK":  # its profile is one of inks
        converted.info.pop("icc_profile", None)
    return converted


def _encoded(planes: Tensor, icc_profile: bytes | None) -> bytes:
    """Return the bytes of a PNG file of uint8 planes (C, H, W)."""
    values = planes.permute(1, 2, 0).contiguous().numpy()
    encoded = io.BytesIO()
    image = Image.fromarray(values[..., 0] if values.shape[2] == 1 else values)
    image.save(encoded, "PNG", compress_level=COMPRESSION, icc_profile=icc_profile)
    return encoded.getvalue()
