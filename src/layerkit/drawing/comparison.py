"""Draws a comparison of a denoised picture with the results of classical methods on the noisy picture.

There is no clean picture to tune these methods on, so their parameters are those for Gaussian noise of the standard
deviation that is estimated from the picture.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from layerkit.data.noise_level import estimate_noise
from layerkit.data.pictures import Scale, middle
from layerkit.denoising.baselines import fit_to_noise
from layerkit.drawing.sheet import Row, write_sheet
from layerkit.errors import ShapeError

SIDE = 768
"""The height and width, in pixels, of the middle part of a larger picture that is compared, which takes seconds."""
WIDE_PANEL, DETAIL = 320, 80
"""The longer side of a picture, in pixels of the PNG, and the side of the detail, in pixels of the picture."""


def compare(path: str | Path, noisy: Tensor, denoised: Tensor, scale: Scale | None = None) -> None:
    """Write a noisy picture, the results of classical methods, and that of the network, side by side.

    Args:
        path: the PNG file to write.
        noisy, denoised: (C, H, W) of any dtype, C is 1 (grey) or 3 (colour).
        scale: what is black and white in them; by default 0 and 255.

    Raises:
        ShapeError: when the pictures cannot be shown beside each other.
        RunError: when the file cannot be written.
    """
    scale = scale or Scale()
    noise = estimate_noise(scale.values(noisy) / 255)
    before, after = (scale.values(middle(pixels, SIDE)) / 255 for pixels in (noisy, denoised))
    # For a picture without noise, or too small for an estimate, the smallest noise that all methods accept is used.
    classical = fit_to_noise(max(1.0, noise or 0.0))
    versions = {"noisy": before} | {fitted.name: fitted.apply(before[None])[0] for fitted in classical}
    size = "of unknown size" if noise is None else f"of about {noise:.0f} of 255, by an estimate"
    note = f"classical methods for noise {size}"
    if before.shape != noisy.shape:
        note = f"{note}; the middle of the picture"
    draw_versions(path, versions | {"denoised by the network": after}, note)


def draw_versions(path: str | Path, versions: Mapping[str, Tensor], note: str) -> None:
    """Write versions of one picture side by side, and below them the enlarged middle of each.

    Args:
        path: the PNG file to write.
        versions: name and picture, (C, H, W) of one shape, values from 0 to 1, clipped for display; C is 1 or 3.
        note: a line of text about them.

    Raises:
        ShapeError: when the shapes differ, or cannot be shown as pictures.
        RunError: when the file cannot be written.
    """
    shapes = {name: tuple(picture.shape) for name, picture in versions.items()}
    shape = next(iter(shapes.values()), ())
    if set(shapes.values()) != {shape} or len(shape) != 3 or shape[0] not in (1, 3) or 0 in shape:
        raise ShapeError(f"a comparison needs pictures of one shape (1 or 3, H, W), not {shapes}")
    pictures = [picture.detach().float().cpu().clamp(0, 1) for picture in versions.values()]
    rows = [Row(pictures, WIDE_PANEL)]
    if max(shape) > 2 * DETAIL:  # in a smaller picture every pixel is visible anyway
        rows = [Row(pictures, WIDE_PANEL, marked=DETAIL), Row([middle(p, DETAIL) for p in pictures], WIDE_PANEL)]
    write_sheet(path, list(versions), rows, note)
