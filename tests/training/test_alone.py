"""A denoiser that trains on the picture that it denoises."""

from __future__ import annotations

import json
import math

import pytest
import torch

from layerkit import ArgumentError, DataError, SinglePictureDenoiser, UserError, load_architecture
from layerkit.data.dataset import Validation
from layerkit.data.noise_model import NoiseKind
from layerkit.data.photographs import read_photograph
from layerkit.data.pictures import Picture
from layerkit.denoising.baselines import BASELINES
from layerkit.denoising.tuning import tune
from layerkit.spec.loading import ALONE


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.fixture(scope="module")
def clean() -> torch.Tensor:
    return read_photograph("layerkit", "data/photos/flower.jpg")[:, 150:250, 250:354].float()


@pytest.fixture(scope="module")
def short() -> SinglePictureDenoiser:
    """The network of the command line, trained in twelve short steps."""
    return SinglePictureDenoiser(in_short())


def in_short(channels: int = 3, lr: float = 0.2) -> str:
    tree = json.loads(ALONE.read_text())
    tree["input"] = {"channels": channels, "height": 32, "width": 32}
    tree["training"] |= {"samples": 48, "optimizer": {"type": "adam", "lr": lr}}
    return json.dumps(tree)


def psnr(picture: torch.Tensor, clean: torch.Tensor) -> float:
    return -10 * math.log10((picture.float().clamp(0, 255) - clean).square().mean().item() / 255**2)


def with_noise(clean: torch.Tensor, sigma: float) -> torch.Tensor:
    return (clean + sigma * torch.randn(clean.shape, generator=generator())).round().clamp(0, 255).byte()


@pytest.mark.parametrize("sigma", [15, 30])
def test_it_is_far_better_than_a_blur_that_is_tuned_on_the_clean_picture(short, clean, sigma):
    noisy = with_noise(clean, sigma)
    (blur,) = tune(Validation(noisy[None] / 255, clean[None] / 255), BASELINES[:1])
    best = psnr(blur.apply(noisy[None] / 255)[0] * 255, clean)
    heard = []
    result = short.restore(noisy, progress=lambda done, steps: heard.append((done, steps)))
    assert psnr(result.pixels, clean) > best + 1
    assert result.pixels.dtype == torch.uint8
    assert heard == [(done, 12) for done in range(1, 13)]
    assert str(result).endswith(" %; learned from the picture alone in 12 steps")
    assert torch.equal(short.restore(noisy).pixels, result.pixels)


def test_training_makes_it_better(short, clean):
    noisy = with_noise(clean, 50)
    before = SinglePictureDenoiser(in_short(lr=1e-12)).restore(noisy)
    assert psnr(short.restore(noisy).pixels, clean) > psnr(before.pixels, clean) + 1


def test_photons_and_grey():
    clean = read_photograph("layerkit", "data/photos/china.jpg")[1:2, 100:292, 100:420].float()
    noisy = torch.poisson(clean * 30 / 255, generator=generator()) * 255 / 30
    denoiser = SinglePictureDenoiser(in_short(1), seed=3)
    result = denoiser.restore(noisy)
    assert result.noise.kind is NoiseKind.POISSON
    assert result.pixels.dtype == noisy.dtype and result.pixels.shape == noisy.shape
    assert psnr(result.pixels, clean) > psnr(noisy, clean) + 4
    other = SinglePictureDenoiser(in_short(1), seed=4).restore(noisy)
    assert not torch.equal(result.pixels, other.pixels)


@pytest.mark.parametrize("photons", [False, True])
def test_similar_windows_make_it_better(short, monkeypatch, photons):
    clean = read_photograph("layerkit", "data/photos/china.jpg")[:, 100:196, 150:246].float()
    noisy = torch.poisson(clean * 30 / 255, generator=generator()) * 255 / 30 if photons else with_noise(clean, 25)
    after = short.restore(noisy)
    assert (after.noise.kind is NoiseKind.POISSON) == photons
    monkeypatch.setattr("layerkit.training.alone._improved", lambda noisy, denoised, noise, denoiser: denoised)
    assert psnr(after.pixels, clean) > psnr(short.restore(noisy).pixels, clean) + 0.3


def test_tiles_change_nothing(clean):
    noisy = with_noise(clean, 25)
    whole, tiled = (SinglePictureDenoiser(in_short(), tile=tile).restore(noisy).pixels for tile in (512, 40))
    assert (whole.int() - tiled.int()).abs().max() <= 1


def test_impulses_are_taken_out_and_nothing_else_is_touched(short):
    pixels = read_photograph("layerkit", "data/photos/flower.jpg")[:, 100:228, 200:360]
    struck = torch.rand(pixels.shape, generator=generator()) < 0.1
    result = short.restore(torch.where(struck, 255 * (pixels % 2), pixels))
    assert psnr(result.pixels, pixels) > 28
    assert str(result).startswith("impulses in 1")


def test_a_picture_without_noise_is_left(short):
    pixels = read_photograph("layerkit", "data/photos/china.jpg")
    result = short.restore(pixels)
    assert torch.equal(result.pixels, pixels)
    assert result.steps == 0
    assert str(result).endswith("; left as it is")


def test_small_pictures(short):
    tiny = short.denoise(Picture(torch.zeros(3, 4, 4, dtype=torch.uint8), torch.ones(4, 4, dtype=torch.uint8)))
    assert tiny.pixels.shape == (3, 4, 4)
    assert (tiny.alpha == 1).all()
    noisy = with_noise(torch.full((3, 13, 17), 100.0), 30)
    result = short.restore(noisy)
    assert result.pixels.shape == noisy.shape
    assert result.pixels.float().std() < 0.8 * noisy.float().std()  # so few pixels show too little noise


def test_what_it_cannot_do():
    layers = [{"type": "conv2d", "out_channels": 3, "kernel_size": 3, "padding": 1}]
    size = {"channels": 3, "height": 8, "width": 8}
    tree = {"format": 1, "name": "own", "input": size, "layers": layers}
    with pytest.raises(UserError, match='"own" has no "training" block'):
        SinglePictureDenoiser(json.dumps(tree))
    tree["training"] = json.loads(ALONE.read_text())["training"]
    own = SinglePictureDenoiser(load_architecture(json.dumps(tree)))
    with pytest.raises(DataError, match='"own" takes pictures of 3 channels, this one has 1'):
        own.restore(with_noise(torch.full((1, 20, 20), 100.0), 30))
    assert SinglePictureDenoiser()._for_channels(1).input.channels == 1
    with pytest.raises(DataError, match='"alone" takes pictures of 3 channels, this one has 2'):
        SinglePictureDenoiser().restore(torch.zeros(2, 20, 20))
    with pytest.raises(ArgumentError, match="SinglePictureDenoiser: tile must be"):
        SinglePictureDenoiser(tile=0)
