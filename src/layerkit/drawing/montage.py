"""Draws pictures before and after denoising, one row each, as in Fig. 5 of the report."""

from __future__ import annotations

import math
from pathlib import Path

from torch import Tensor

from layerkit.denoising.metrics import PSNR_MEAN, psnr
from layerkit.drawing.sheet import Row, write_sheet
from layerkit.errors import ShapeError

PANEL = 256
"""The longer side of a picture, in pixels of the PNG."""


def montage(path: str | Path, noisy: Tensor, denoised: Tensor, clean: Tensor | None, count: int = 5) -> None:
    """Write the first ``count`` pictures before and after denoising, one row each, as in the report's Fig. 5.

    The columns are noisy, denoised and, where it is known, clean; the caption of a picture is its PSNR against the
    clean one. Pixels of small pictures stay visible as squares of the same size.

    Args:
        path: the PNG file to write.
        noisy, denoised, clean: (N, C, H, W), values from 0 to 1, clipped for display; C is 1 (grey) or 3 (colour).
        count: the most rows to draw.

    Raises:
        ShapeError: when the shapes differ, or cannot be shown as pictures.
        RunError: when the file cannot be written.
    """
    columns = {"noisy": noisy, "denoised": denoised} | ({} if clean is None else {"clean": clean})
    shapes = {name: tuple(pictures.shape) for name, pictures in columns.items()}
    if len(set(shapes.values())) > 1:
        raise ShapeError(f"the columns of a montage must have one shape (N, C, H, W), not {shapes}")
    if noisy.dim() != 4 or noisy.shape[1] not in (1, 3) or not noisy.numel() or count < 1:
        raise ShapeError(
            "a montage needs at least one picture, as (N, C, H, W) with 1 or 3 channels, "
            f"not {count} of {shapes['noisy']}"
        )
    columns = {name: pictures[:count].detach().float().cpu().clamp(0, 1) for name, pictures in columns.items()}
    rows = []
    for number, pictures in enumerate(zip(*columns.values(), strict=True)):
        captions = None
        if clean is not None:
            original = columns["clean"][number : number + 1]
            captions = [_ratio(picture[None], original) for picture in pictures[:-1]] + [""]
        rows.append(Row(pictures, PANEL, captions))
    write_sheet(path, list(columns), rows, "" if clean is None else "PSNR against the clean picture")


def _ratio(picture: Tensor, clean: Tensor) -> str:
    ratio = psnr(picture, clean).item()
    return "identical" if math.isinf(ratio) else PSNR_MEAN.text(ratio)
