"""The picture in the README: ``python -m benchmarks.before_after docs/images/before-after.jpg``.

A photograph that the network inside layerkit has not seen, with Gaussian noise: noisy at the left, denoised at the
right.
"""

from __future__ import annotations

import sys

import torch
from PIL import Image
from torch import Tensor

from layerkit.data.pairs import seeded_generator
from layerkit.data.photographs import read_photograph
from layerkit.denoising.blind import BlindDenoiser

PHOTOGRAPH = ("layerkit", "data/photos/china.jpg")
SIGMA = 25
QUALITY = 88
"""Of the JPEG file: noise takes many bytes."""
LINE = 2
"""Width of the white line between both, in pixels."""


def before_after(clean: Tensor, sigma: float) -> tuple[Tensor, str]:
    """Return a picture, half noisy and half denoised, and what the network found.

    Args:
        clean: uint8 (C, H, W).
        sigma: standard deviation of the noise, in units of 8-bit values.
    """
    noise = sigma * torch.randn(clean.shape, generator=seeded_generator(0))
    noisy = (clean + noise).round().clamp(0, 255).to(torch.uint8)
    denoised = BlindDenoiser.pretrained().restore(noisy)
    middle = clean.shape[2] // 2
    joined = torch.cat([noisy[..., :middle], denoised.pixels[..., middle:]], 2)
    joined[..., middle - LINE // 2 : middle + LINE // 2] = 255
    return joined, str(denoised)


if __name__ == "__main__":
    pixels, found = before_after(read_photograph(*PHOTOGRAPH), SIGMA)
    Image.fromarray(pixels.permute(1, 2, 0).numpy()).save(sys.argv[1], quality=QUALITY)
    print(f"{sys.argv[1]}: {found}")
