"""Chooses representative validation pictures, and writes them before and after denoising for the page."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import torch
from PIL import Image

from layerkit.data.dataset import Validation
from layerkit.denoising.denoiser import Denoiser
from layerkit.denoising.evaluation import Examples, examples
from layerkit.denoising.metrics import psnr
from layerkit.disk import write_atomically
from layerkit.experiments.results import finite

COUNT = 5
LONGEST = 256
"""The longest side of a picture on the page, in pixels."""
TILES = "tiles.png"
"""The name of a file of :func:`write_tiles` in a run's folder."""
Ratios = tuple[tuple[float | None, float | None], ...]


def varied_examples(denoiser: Denoiser, validation: Validation) -> Examples:
    """Return some validation pictures, the noisiest first, with their denoised versions.

    All pictures are sorted by PSNR and divided into fifths, and the middle one of each fifth is taken, so that easy and
    hard pictures are shown. If the clean pictures are not known, pictures are chosen at even distances.
    """
    noisy, clean, _ = validation
    if clean is None:
        return examples(denoiser, validation, COUNT)
    order = psnr(noisy.clamp(0, 1), clean).argsort(stable=True)
    count = min(COUNT, len(order))
    places = [order[(2 * place + 1) * len(order) // (2 * count)] for place in range(count)]
    chosen = torch.stack(places)
    return examples(denoiser, Validation(noisy[chosen], clean[chosen]), count)


def ratios(shown: Examples) -> Ratios:
    """Return the PSNR of each picture before and after, in dB; None where the clean pictures are not known."""
    if shown.clean is None:
        return ((None, None),) * len(shown.noisy)
    before = psnr(shown.noisy.clamp(0, 1), shown.clean).tolist()
    after = psnr(shown.denoised.clamp(0, 1), shown.clean).tolist()
    return tuple((finite(noisy), finite(denoised)) for noisy, denoised in zip(before, after, strict=True))


def write_tiles(path: Path, shown: Examples) -> None:
    """Write pictures as one PNG file without text, pixel for pixel: one row each, noisy, denoised and clean.

    Raises:
        RunError: when it cannot be written.
    """
    columns = [column.detach().float().cpu().clamp(0, 1) for column in shown if column is not None]
    rows = torch.cat(columns, 3)  # (N, C, H, columns * W)
    pixels = (rows.permute(0, 2, 3, 1).flatten(0, 1) * 255).round().to(torch.uint8).numpy()
    png = io.BytesIO()
    Image.fromarray(pixels.squeeze(2) if pixels.shape[2] == 1 else pixels).save(png, "PNG")
    write_atomically(path, png.getvalue())


def read_tiles(path: Path, rows: int, columns: int) -> list[list[str]]:
    """Return the pictures of :func:`write_tiles` as ``data:`` URLs, row by row; none if it is not such a file.

    Args:
        path: the file.
        rows, columns: the numbers of rows and columns of pictures.
    """
    try:
        with Image.open(path, formats=["PNG"]) as sheet:
            sheet.load()
    except (OSError, ValueError):
        return []
    if not rows or sheet.width % columns or sheet.height % rows:
        return []
    width, height = sheet.width // columns, sheet.height // rows
    return [
        [
            _address(sheet.crop((width * column, height * row, width * (column + 1), height * (row + 1))))
            for column in range(columns)
        ]
        for row in range(rows)
    ]


def _address(picture: Image.Image) -> str:
    picture.thumbnail((LONGEST, LONGEST))
    png = io.BytesIO()
    picture.save(png, "PNG")
    return f"data:image/png;base64,{base64.b64encode(png.getvalue()).decode()}"
