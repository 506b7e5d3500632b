"""BM3D, if the package ``bm3d`` is installed; its licence is not a free one, so nothing depends on it.

Dabov, Foi, Katkovnik, Egiazarian 2007, "Image denoising by sparse 3-D transform-domain collaborative filtering".
Similar blocks are stacked, and each stack is made sparse by a transform of all three dimensions.

The package takes a second for each channel of a picture, however small that is, and one that is smaller than its
blocks ends the process. So small pictures are placed side by side on a sheet, each extended on all sides by its mirror
image. Blocks may then also be stacked with similar ones of another picture, which can only improve the result.
"""

from __future__ import annotations

import importlib
import importlib.util
import math

import numpy as np

SHEET_PIXELS = 2**20
"""A sheet has about this many pixels, or one picture."""
MARGIN = 8
"""By how much a picture is continued on each side, in pixels: a block of BM3D."""


def bm3d_is_installed() -> bool:
    """Return whether the package is installed."""
    return importlib.util.find_spec("bm3d") is not None


def bm3d(pictures: np.ndarray, sigma: float) -> np.ndarray:
    """Return pictures without their noise, of the same shape and dtype.

    Args:
        pictures: (N, C, H, W), floats from 0 to 1; three channels are taken for colours, others one by one.
        sigma: the standard deviation of the noise, in the same units.
    """
    count, channels, height, width = pictures.shape
    if channels not in (1, 3):
        return bm3d(pictures.reshape(count * channels, 1, height, width), sigma).reshape(pictures.shape)
    denoised = np.empty_like(pictures)
    a_sheet = max(1, SHEET_PIXELS // ((height + 2 * MARGIN) * (width + 2 * MARGIN)))
    for first in range(0, count, a_sheet):
        part = slice(first, first + a_sheet)
        denoised[part] = _on_a_sheet(pictures[part], sigma)
    return denoised


def _on_a_sheet(pictures: np.ndarray, sigma: float) -> np.ndarray:
    """Return some pictures (N, C, H, W) without their noise, all at once."""
    count, channels = pictures.shape[:2]
    columns = math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    margin = (MARGIN, MARGIN)
    cells = np.pad(pictures, ((0, rows * columns - count), (0, 0), margin, margin), "symmetric")
    high, wide = cells.shape[2:]
    grid = cells.reshape(rows, columns, channels, high, wide)
    sheet = _denoised(grid.transpose(0, 3, 1, 4, 2).reshape(rows * high, columns * wide, channels), sigma)
    cells = sheet.reshape(rows, high, columns, wide, channels).transpose(0, 2, 4, 1, 3).reshape(cells.shape)
    return cells[:count, :, MARGIN:-MARGIN, MARGIN:-MARGIN]


def _denoised(sheet: np.ndarray, sigma: float) -> np.ndarray:
    """Return a picture (H, W, C) without its noise; where BM3D gives no number, as in a constant channel, as it was."""
    package = importlib.import_module("bm3d")
    method = package.bm3d_rgb if sheet.shape[2] == 3 else package.bm3d
    values = sheet.astype(np.float64)
    with np.errstate(all="ignore"):
        denoised = np.asarray(method(values[..., 0] if values.shape[2] == 1 else values, sigma)).reshape(sheet.shape)
    return np.where(np.isfinite(denoised), denoised, sheet)
