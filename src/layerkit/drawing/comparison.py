"""A denoised picture beside what classical methods make of the noisy one.

There is no clean picture to tune them on, so their parameters are those for Gaussian noise of the size that is
estimated from the picture.
"""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from layerkit.data.noise_level import estimate_noise
from layerkit.data.pictures import middle
from layerkit.denoising.baselines import fit_to_noise
from layerkit.drawing.sheet import comparison

SIDE = 768
"""Of a larger picture the middle, of this height and width in pixels, is compared: the methods take seconds for it."""


def compare(path: str | Path, noisy: Tensor, denoised: Tensor) -> None:
    """Write a noisy picture, what classical methods make of it, and the network's answer, side by side.

    Args:
        path: the PNG file to write.
        noisy, denoised: uint8 (C, H, W), C is 1 (grey) or 3 (colour).

    Raises:
        ShapeError: when the pictures cannot be shown beside each other.
        RunError: when the file cannot be written.
    """
    noise = estimate_noise(noisy)
    before, after = (middle(pixels, SIDE).float() / 255 for pixels in (noisy, denoised))
    # A picture that is too small for an estimate, or without noise, gets the least that all of them can do.
    classical = fit_to_noise(max(1.0, noise or 0.0))
    versions = {"noisy": before} | {fitted.name: fitted.apply(before[None])[0] for fitted in classical}
    size = "of unknown size" if noise is None else f"of about {noise:.0f} of 255, by an estimate"
    note = f"classical methods for noise {size}"
    if before.shape != noisy.shape:
        note = f"{note}; the middle of the picture"
    comparison(path, versions | {"denoised by the network": after}, note)
