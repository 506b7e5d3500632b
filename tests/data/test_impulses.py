"""Values that have nothing to do with the picture."""

from __future__ import annotations

import pytest
import torch

from layerkit.data.impulses import filled, struck
from layerkit.data.photographs import read_photograph


@pytest.fixture(scope="module")
def clean() -> torch.Tensor:
    return read_photograph("layerkit", "data/photos/flower.jpg")[:, 100:228, 200:360]


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def error(pixels: torch.Tensor, clean: torch.Tensor) -> float:
    return (pixels.float() - clean.float()).square().mean().item()


@pytest.mark.parametrize("share", [0.05, 0.3])
def test_salt_and_pepper(clean, share):
    random = generator()
    hit = torch.rand(clean.shape, generator=random) < share
    salt = 255 * torch.randint(2, clean.shape, generator=random, dtype=torch.uint8)
    noisy = torch.where(hit, salt, clean)
    found = struck(noisy)
    assert (found == hit).float().mean() > 0.97
    assert error(filled(noisy, found), clean) < 0.05 * error(noisy, clean)


def test_random_colours(clean):
    random = generator()
    hit = torch.rand((1, *clean.shape[1:]), generator=random) < 0.25
    noisy = torch.where(hit, torch.randint(256, clean.shape, generator=random, dtype=torch.uint8), clean)
    assert error(filled(noisy, struck(noisy)), clean) < 0.2 * error(noisy, clean)


@pytest.mark.parametrize("sigma", [0, 25, 60])
@pytest.mark.parametrize("name", [("layerkit", "data/photos/china.jpg"), ("skimage", "data/grass.png")])
def test_details_and_other_noise_are_no_impulses(name, sigma):
    picture = read_photograph(*name)[:, :200, :200].float()
    noisy = (picture + sigma * torch.randn(picture.shape, generator=generator())).round().clamp(0, 255)
    assert struck(noisy.byte()) is None


def test_tiny_pictures_and_spots_of_nothing_else():
    assert struck(torch.zeros(3, 15, 40)) is None
    picture = torch.arange(36.0).view(1, 6, 6)
    everywhere = torch.ones(1, 6, 6, dtype=torch.bool)
    assert torch.equal(filled(picture, everywhere), picture)
    one = torch.zeros_like(everywhere)
    one[0, 0, 0] = True
    expected = torch.tensor([1.0, 2, 1, 2, 6, 7, 8, 7, 8, 12, 13, 14, 13, 14]).median()  # mirrored at both edges
    assert filled(picture, one)[0, 0, 0] == pytest.approx(expected.item(), abs=2)
    assert torch.equal(filled(picture, one)[0, 1:], picture[0, 1:])


def test_bands_change_nothing(clean, monkeypatch):
    noisy = torch.where(torch.rand(clean.shape, generator=generator()) < 0.2, 255, clean)
    whole = filled(noisy, struck(noisy))
    monkeypatch.setattr("layerkit.data.impulses.BAND", 50)
    assert torch.equal(filled(noisy, struck(noisy)), whole)
