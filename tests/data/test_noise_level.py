from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from skimage.restoration import estimate_sigma

from layerkit.builtin.noises.gaussian import Gaussian
from layerkit.builtin.noises.pixelate import Pixelate
from layerkit.contracts.noise import Noise
from layerkit.data.noise_level import (
    MARGIN,
    MAX_PICTURES,
    MIN_SIDE,
    NoiseRange,
    estimate_noise,
    estimate_range,
)
from layerkit.data.photographs import TRAINING, VALIDATION, read_photograph
from layerkit.data.sources import PHOTOS, load_dataset

PHOTOGRAPHS = TRAINING + VALIDATION


@pytest.fixture(scope="module")
def photographs() -> list[torch.Tensor]:
    """Return the built-in photographs, (1, C, H, W) with sides that are multiples of 8, values from 0 to 1."""
    pictures = [read_photograph(*name).float()[None] / 255 for name in PHOTOGRAPHS]
    return [picture[:, :, : picture.shape[2] // 8 * 8, : picture.shape[3] // 8 * 8] for picture in pictures]


def trained_for(noise: Noise) -> NoiseRange:
    inputs, _ = load_dataset(PHOTOS, (3, 32, 32), noise, 0, 1000).train.chunk(0, 0)
    return estimate_range(inputs)


def remarks(noise_range: NoiseRange, photographs: list[torch.Tensor], noise: Noise | None) -> list[str | None]:
    """Return the remark about every photograph as it stands in a picture file, with this noise."""
    generator = torch.Generator().manual_seed(0)
    noisy = photographs if noise is None else [noise.draw(picture, generator) for picture in photographs]
    files = [(picture[0].clamp(0, 1) * 255).round().byte() for picture in noisy]
    return [noise_range.remark(estimate_noise(pixels)) for pixels in files]


# Real cases


def test_a_network_for_sigma_25_and_photographs_with_other_noise(photographs):
    gaussian = trained_for(Gaussian(25))
    for sigma in (20, 25, 30):
        assert remarks(gaussian, photographs, Gaussian(sigma)) == [None] * len(photographs), sigma
    for sigma in (5, 10):
        assert all(remark.startswith("little noise") for remark in remarks(gaussian, photographs, Gaussian(sigma)))
    for sigma in (50, 75):
        assert all(remark.startswith("much noise") for remark in remarks(gaussian, photographs, Gaussian(sigma)))
    assert all(remark.startswith("hardly any noise") for remark in remarks(gaussian, photographs, None))


def test_a_network_for_many_sigmas(photographs):
    gaussian = trained_for(Gaussian((0, 50)))
    for sigma in (10, 25, 45):
        assert remarks(gaussian, photographs, Gaussian(sigma)) == [None] * len(photographs), sigma


def test_a_network_for_noise_that_depends_on_texture(photographs):
    pixelate = trained_for(Pixelate(8))
    assert remarks(pixelate, photographs, Pixelate(8)).count(None) > len(photographs) / 2
    assert all(remark.startswith("much noise") for remark in remarks(pixelate, photographs, Gaussian(75)))


# The estimate


def from_scikit_image(picture: torch.Tensor) -> float:
    return float(np.mean([estimate_sigma(plane) for plane in picture.float().numpy()]))


@pytest.mark.parametrize("size", [(40, 30), (41, 33), (MIN_SIDE, MIN_SIDE), (9, 64), (200, 8)])
@pytest.mark.parametrize("channels", [1, 3])
def test_the_estimate_is_that_of_scikit_image(channels, size):
    picture = torch.rand(channels, *size, generator=torch.Generator().manual_seed(0))
    clipped = (3 * picture - 1).clamp(0, 1)
    for values in (picture, clipped):
        assert estimate_noise(values) == pytest.approx(255 * from_scikit_image(values), rel=1e-6)
        pixels = (values * 255).round().byte()
        assert estimate_noise(pixels) == pytest.approx(from_scikit_image(pixels), rel=1e-6)


def test_the_estimate_is_that_of_scikit_image_on_photographs():
    for name in PHOTOGRAPHS:
        pixels = read_photograph(*name)
        assert estimate_noise(pixels) == pytest.approx(from_scikit_image(pixels), rel=1e-6), name


def test_a_black_area_does_not_count():
    noisy = torch.rand(1, 64, 64, generator=torch.Generator().manual_seed(0))
    both = torch.cat([noisy, torch.zeros(1, 64, 400)], 2)
    assert estimate_noise(both) == pytest.approx(255 * from_scikit_image(both), rel=1e-6)
    assert estimate_noise(both) == pytest.approx(estimate_noise(noisy), rel=0.05)


def test_a_constant_picture_has_no_noise():
    assert estimate_noise(torch.zeros(3, 16, 16)) == 0
    assert estimate_noise(torch.full((1, 9, 16), 200, dtype=torch.uint8)) < 1e-3


def test_the_estimate_needs_no_scientific_package(python):
    program = """
import sys, torch
from layerkit.data.noise_level import estimate_range
assert estimate_range(torch.rand(4, 3, 32, 32)) is not None
print(*sorted({name.partition(".")[0] for name in sys.modules} & {"pywt", "scipy", "skimage", "sklearn"}))
"""
    assert python("-c", program, check=True).stdout == "\n"


def test_a_small_picture_has_no_estimate():
    assert estimate_noise(torch.rand(3, MIN_SIDE - 1, 500)) is None
    assert estimate_noise(torch.rand(3, MIN_SIDE, MIN_SIDE)) is not None
    assert estimate_range(torch.rand(5, 3, 4, 4)) is None
    assert estimate_range(torch.rand(0, 3, 32, 32)) is None


# The range


def test_the_range_holds_most_of_the_first_inputs_as_they_stand_in_files():
    generator = torch.Generator().manual_seed(0)
    inputs = torch.full((2 * MAX_PICTURES, 1, 32, 32), 0.9)
    inputs[:MAX_PICTURES] += torch.randn(MAX_PICTURES, 1, 32, 32, generator=generator) * 30 / 255
    found = estimate_range(inputs)
    levels = sorted(estimate_noise(picture.clamp(0, 1)) for picture in inputs[:MAX_PICTURES])
    assert sum(found.low <= level <= found.high for level in levels) == pytest.approx(0.9 * MAX_PICTURES, abs=2)
    assert levels[0] < found.low < found.high < levels[-1] < 30


def test_remarks_begin_a_factor_outside_the_range():
    trained = NoiseRange(10, 20)
    for level in (10 / MARGIN, 15, 20 * MARGIN):
        assert trained.remark(level) is None
    assert trained.remark(7.9) == (
        "little noise, about 8; the network was trained for about 10 to 20 of 255, and may blur details"
    )
    assert trained.remark(25.1) == (
        "much noise, about 25; the network was trained for about 10 to 20 of 255, and may leave some"
    )
    assert trained.remark(1).startswith("hardly any noise; the network was trained")


@pytest.mark.parametrize("ends", [(2, 1), (-1, 1), (0, math.inf), (math.nan, 1), ("0", 1), (False, 1), (None, None)])
def test_what_is_no_range(ends):
    with pytest.raises(ValueError, match="expected two numbers from 0, the lower one first, not "):
        NoiseRange(*ends)
