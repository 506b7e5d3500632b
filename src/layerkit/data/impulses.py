"""Finds impulses, values that have nothing to do with the picture, and estimates the original values.

An impulse is recognized by how different it is even from the most similar of its eight neighbours: by the sum of the
four smallest differences from them (Garnett, Huegerich, Chui, He 2005, "A universal noise removal algorithm with an
impulse detector"). Edges and other noise make large sums too, but not many that are far larger than most; so a picture
has impulses only if a good share of its values are that different, or of its black and white ones.
"""

from __future__ import annotations

import torch
from torch import Tensor

LIKE = 4
"""How many neighbours a value is compared with: the most similar of all eight."""
BAND = 512
"""Rows that are processed together, which limits the memory."""
REACH = 2
"""The distance in pixels within which a replacement for an impulse is searched."""


def struck(pixels: Tensor) -> Tensor | None:
    """Return which values of a picture (C, H, W), from 0 to 255, are impulses; None where it has hardly any."""
    if min(pixels.shape[1:]) < 16:
        return None
    differences = torch.cat([_differences(band) for band in _bands(pixels, 1)], 1)
    usual = differences.flatten()[:: max(1, differences.numel() // 1_000_000)].median().item()
    different = differences > max(160.0, 3 * usual)
    share = different.float().mean().item()
    # Black and white areas are not different from themselves, and noise that is cut off there makes few of them so.
    extreme = (pixels <= 0) | (pixels >= 255)
    salt = (different & extreme).float().mean().item()
    if salt > 0.015 and (salt > 0.8 * share or salt > max(0.4 * share, 0.5 * extreme.float().mean().item())):
        return extreme & (differences > 20)
    if share > 0.085 and (differences > max(100.0, 4 * usual)).float().mean().item() > 0.1:
        return differences > max(60.0, 2 * usual)
    return None


def filled(pixels: Tensor, impulses: Tensor) -> Tensor:
    """Return a picture (C, H, W) in which each impulse is the median of the other values near it, as floats.

    An impulse with no other values near it, as in an area full of impulses, stays.
    """
    known = pixels.float().masked_fill(impulses, torch.nan)
    medians = torch.cat([_medians(band) for band in _bands(known, REACH)], 1)
    return torch.where(impulses & ~medians.isnan(), medians, pixels.float())


def _bands(pixels: Tensor, reach: int) -> list[Tensor]:
    """Return a picture in bands of rows, each with ``reach`` more pixels on every side, mirrored at the edges."""
    down, across = (
        torch.arange(-reach, length + reach).abs_().sub_(length - 1).abs_().neg_().add_(length - 1)
        for length in pixels.shape[1:]
    )
    height = pixels.shape[1]
    spans = [(top, min(top + BAND, height) + 2 * reach) for top in range(0, height, BAND)]
    return [pixels[:, down[start:stop]][:, :, across].float() for start, stop in spans]


def _around(band: Tensor, reach: int) -> list[Tensor]:
    """Return the band's own values, without its margin, shifted by up to ``reach``; the middle one is not shifted."""
    side, (height, width) = 2 * reach + 1, (length - 2 * reach for length in band.shape[1:])
    return [band[:, i : i + height, j : j + width] for i in range(side) for j in range(side)]


def _differences(band: Tensor) -> Tensor:
    shifted = _around(band, 1)
    middle = shifted.pop(len(shifted) // 2)
    return torch.stack([(other - middle).abs_() for other in shifted]).sort(0).values[:LIKE].sum(0)


def _medians(band: Tensor) -> Tensor:
    return torch.stack(_around(band, REACH)).nanmedian(0).values
