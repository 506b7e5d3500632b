"""Picture files in and out, as tensors of 8-bit values.

Everything that can be wrong with a picture file becomes one :class:`~layerkit.errors.DataError` that names the file.
"""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from layerkit.disk import write_atomically
from layerkit.errors import DataError, ShapeError

FORMATS = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".bmp": "BMP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".webp": "WEBP",
    ".gif": "GIF",
}
"""The picture formats by suffix. Pillow knows some forty more, few of them needed and many of them rarely tested."""

_QUALITY: dict[str, dict[str, Any]] = {"JPEG": {"quality": 95, "subsampling": 0}, "WEBP": {"lossless": True}}
_WITHOUT_ALPHA = {"JPEG", "BMP"}


@dataclass(frozen=True)
class Picture:
    """A picture as 8-bit values.

    Attributes:
        pixels: uint8 (C, H, W) with one channel (gray) or three (red, green, blue).
        alpha: uint8 (H, W), 255 where the picture is opaque; None when it has no transparency.
    """

    pixels: Tensor
    alpha: Tensor | None = None

    def __post_init__(self) -> None:
        pixels, alpha = self.pixels, self.alpha
        if pixels.dtype != torch.uint8 or pixels.dim() != 3 or pixels.shape[0] not in (1, 3):
            raise ShapeError(
                f"a picture is a uint8 tensor (1 or 3, height, width), not {pixels.dtype} {tuple(pixels.shape)}"
            )
        if alpha is not None and (alpha.dtype != torch.uint8 or alpha.shape != pixels.shape[1:]):
            raise ShapeError(
                f"alpha must be a uint8 tensor {tuple(pixels.shape[1:])} like the picture, "
                f"not {alpha.dtype} {tuple(alpha.shape)}"
            )


def read_picture(path: str | Path) -> Picture:
    """Return the picture in a file, the right way up; of several frames the first, of 16 bits the upper 8.

    Raises:
        DataError: when there is no such file, or it is no whole picture of a known format and a bearable size.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=sorted(set(FORMATS.values()))) as image:
                image.load()
                return _picture(ImageOps.exif_transpose(image))
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise DataError(f"{path}: is a folder, expected a picture file") from None
    except PermissionError:
        raise DataError(f"{path}: may not be read; check the file's permissions") from None
    except UnidentifiedImageError:
        raise DataError(f"{path}: not a picture in a known format ({_formats()})") from None
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        limit = (Image.MAX_IMAGE_PIXELS or 0) // 1_000_000
        raise DataError(f"{path}: more than {limit} million pixels; make the picture smaller or cut it up") from None
    except DataError as error:
        raise DataError(f"{path}: {error}") from None
    except Exception as error:
        # A damaged file raises whatever the decoder stumbles over: OSError, SyntaxError, ValueError, struct.error, ...
        raise DataError(f"{path}: damaged or incomplete picture ({error}); restore the file") from error


def _picture(image: Image.Image) -> Picture:
    """Return a decoded image of any Pillow mode as gray or RGB, with alpha if it has any."""
    if image.mode in ("I", "F"):
        raise DataError("32-bit pixels; expected 8 or 16 bits per channel; convert the picture")
    if image.mode.startswith("I;16"):
        upper = np.array(image).astype(np.uint16) >> 8
        return Picture(torch.from_numpy(upper.astype(np.uint8))[None])
    transparent = "transparency" in image.info or image.mode in ("LA", "La", "PA", "RGBA", "RGBa")
    gray = image.mode in ("1", "L", "LA", "La")
    mode = ("LA" if gray else "RGBA") if transparent else ("L" if gray else "RGB")
    values = torch.from_numpy(np.array(image.convert(mode)))
    if values.dim() == 2:
        values = values[..., None]
    planes = values.permute(2, 0, 1).contiguous()
    return Picture(planes[:-1], planes[-1]) if transparent else Picture(planes)


def unit(values: Tensor) -> Tensor:
    """Return values from 0 to 255, of 8 bits or floats, as float32 from 0 to 1, in memory of their own."""
    return values.float().mul_(1 / 255)


def with_channels(pixels: Tensor, channels: int) -> Tensor:
    """Return a picture (C, H, W) with 1 or 3 channels; gray is the luma of ITU-R BT.601."""
    if pixels.shape[0] == channels:
        return pixels
    if channels == 3:
        return pixels.expand(3, -1, -1)
    red, green, blue = pixels.float().unbind()
    luma: Tensor = 0.299 * red + 0.587 * green + 0.114 * blue
    return luma.round_().to(torch.uint8)[None]


def resized(pixels: Tensor, height: int, width: int) -> Tensor:
    """Return a picture, uint8 (C, H, W), in another size, smoothed against aliasing."""
    planes = [Image.fromarray(plane.numpy()).resize((width, height), Image.Resampling.LANCZOS) for plane in pixels]
    return torch.from_numpy(np.stack([np.asarray(plane) for plane in planes]))


def write_picture(path: str | Path, picture: Picture) -> None:
    """Write a picture in the format of the path's suffix; the file appears whole or not at all.

    Raises:
        DataError: when the suffix stands for no known format, or for one without transparency and the picture has it.
        RunError: when the file cannot be written.
    """
    path = Path(path)
    name = FORMATS.get(path.suffix.lower())
    if name is None or name == "GIF":  # GIF would reduce the picture to 256 colours
        raise DataError(f"{path}: cannot write a picture as {path.suffix or 'a file without suffix'!r}; use .png")
    if picture.alpha is not None and name in _WITHOUT_ALPHA:
        raise DataError(f"{path}: {name} has no transparency and the picture has; use .png")
    planes = picture.pixels if picture.alpha is None else torch.cat([picture.pixels, picture.alpha[None]])
    values = planes.permute(1, 2, 0).contiguous().cpu().numpy()
    image = Image.fromarray(values[..., 0] if values.shape[2] == 1 else values)
    encoded = io.BytesIO()
    image.save(encoded, format=name, **_QUALITY.get(name, {}))
    write_atomically(path, encoded.getvalue())


def middle(pixels: Tensor, side: int) -> Tensor:
    """Return the middle of pictures (..., H, W), at most ``side`` pixels high and wide, in shared memory."""
    height, width = pixels.shape[-2:]
    top, left = max(0, height - side) // 2, max(0, width - side) // 2
    return pixels[..., top : top + side, left : left + side]


def find_pictures(paths: Iterable[str | Path]) -> list[Path]:
    """Return the picture files among ``paths``: files as they are, of a folder those with a known suffix, sorted.

    Hidden files and subfolders of a folder are not looked at; a file named twice is returned once.

    Raises:
        DataError: when a path does not exist, or a folder holds no picture.
    """
    found: dict[str, Path] = {}
    for path in map(Path, paths):
        if not path.exists():
            raise DataError(f"{path}: no such file or folder")
        for picture in _in_folder(path) if path.is_dir() else [path]:
            found.setdefault(os.path.abspath(picture), picture)
    return list(found.values())


def _in_folder(folder: Path) -> list[Path]:
    try:
        inside = sorted(folder.iterdir())
    except OSError as error:
        raise DataError(f"{folder}: the folder cannot be read: {error.strerror}") from None
    pictures = [path for path in inside if path.suffix.lower() in FORMATS and not path.name.startswith(".")]
    pictures = [path for path in pictures if path.is_file()]
    if not pictures:
        raise DataError(f"{folder}: no pictures in this folder ({_formats()}; subfolders are not searched)")
    return pictures


def _formats() -> str:
    return ", ".join(dict.fromkeys(FORMATS.values()))
