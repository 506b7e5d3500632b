"""What stands behind ``make demo``, ``make quality`` and the picture in the README."""

from __future__ import annotations

import pytest
import torch

from benchmarks import demo, quality
from benchmarks.before_after import LINE, before_after
from benchmarks.quality import compared
from layerkit.builtin.layers.conv2d import Conv2d
from layerkit.data import variety
from layerkit.data.photographs import TRAINING
from layerkit.denoising.blind import BlindDenoiser
from layerkit.denoising.denoiser import Denoiser
from layerkit.denoising.metrics import psnr

NAMES = ["noisy", "Gaussian blur", "non-local means", "total variation", "network"]


def slope(channels: int = 3, side: int = 40) -> torch.Tensor:
    return torch.linspace(60, 190, side).expand(channels, side, side).clone()


def mean_of_nine() -> BlindDenoiser:
    """Return a network that takes the mean of 3 x 3 pixels."""
    network = Conv2d(4, 4, 3, padding=1)
    network.weight.zero_()
    network.weight[range(4), range(4)] = 1 / 9
    network.bias.zero_()
    return BlindDenoiser(Denoiser(network, (4, 32, 32)))


@pytest.mark.parametrize("channels", [1, 3])
def test_all_methods_are_measured_on_one_noisy_picture(channels):
    clean = slope(channels)
    results = compared(clean, 25, 0, {"network": mean_of_nine()})
    assert list(results) == NAMES
    for result in results.values():
        assert result.picture.shape == clean.shape
        assert result.decibels == psnr(result.picture[None].clamp(0, 255) / 255, clean[None] / 255).item()
    assert results["noisy"].decibels == pytest.approx(20.2, abs=0.3)
    assert all(results[name].decibels > results["noisy"].decibels + 2 for name in NAMES[1:])
    assert torch.equal(results["noisy"].picture, compared(clean, 25, 0, {})["noisy"].picture)
    assert not torch.equal(results["noisy"].picture, compared(clean, 25, 1, {})["noisy"].picture)


def test_networks_are_judged_by_photographs_that_they_have_not_seen():
    assert not set(demo.UNSEEN) & set(TRAINING)
    assert not set(quality.PICTURES) & {*TRAINING, *variety.MORE}


def test_the_picture_is_noisy_at_the_left_and_denoised_at_the_right():
    clean = torch.full((3, 48, 64), 120, dtype=torch.uint8)
    joined, found = before_after(clean, 25)
    assert (joined.shape, joined.dtype) == (clean.shape, torch.uint8)
    left, right = joined[..., : 32 - LINE].float(), joined[..., 32 + LINE :].float()
    assert left.std() == pytest.approx(25, rel=0.1)
    assert right.std() < 6
    assert found.startswith("Gaussian noise, about 2")
