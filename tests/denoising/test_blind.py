"""A denoiser that finds out what to do, and the network inside the package."""

from __future__ import annotations

import json
import math
import re

import numpy as np
import pytest
import torch

from layerkit import BlindDenoiser, build, load_architecture, save
from layerkit.builtin.layers.conv2d import Conv2d
from layerkit.data.dataset import Validation
from layerkit.data.levels import with_level
from layerkit.data.noise_model import NoiseKind, NoiseModel
from layerkit.data.photographs import read_photograph
from layerkit.data.pictures import Picture, Scale
from layerkit.denoising.baselines import BASELINES
from layerkit.denoising.blind import PRETRAINED
from layerkit.denoising.denoiser import Denoiser
from layerkit.denoising.tuning import tune
from layerkit.errors import ArgumentError, DataError, ShapeError, UserError


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.fixture(scope="module")
def clean() -> torch.Tensor:
    return read_photograph("layerkit", "data/photos/flower.jpg")[:, 150:278, 250:410].float()


@pytest.fixture(scope="module")
def pretrained() -> BlindDenoiser:
    return BlindDenoiser.pretrained()


def psnr(picture: torch.Tensor, clean: torch.Tensor) -> float:
    return -10 * math.log10((picture.float().clamp(0, 255) - clean).square().mean().item() / 255**2)


def with_noise(clean: torch.Tensor, sigma: float) -> torch.Tensor:
    return clean + sigma * torch.randn(clean.shape, generator=generator())


@pytest.mark.parametrize("sigma", [15, 25, 50])
def test_it_is_far_better_than_a_blur_that_is_tuned_on_the_clean_picture(pretrained, clean, sigma):
    noisy = with_noise(clean, sigma)
    (blur,) = tune(Validation(noisy[None] / 255, clean[None] / 255), BASELINES[:1])
    best = psnr(blur.apply(noisy[None] / 255)[0] * 255, clean)
    assert psnr(pretrained.restore(noisy).pixels, clean) > best + 1.5


def test_poisson_noise(pretrained):
    clean = read_photograph("layerkit", "data/photos/china.jpg")[:, 100:292, 100:420].float()
    noisy = torch.poisson(clean * 30 / 255, generator=generator()) * 255 / 30
    result = pretrained.restore(noisy)
    assert result.noise.kind is NoiseKind.POISSON
    as_gaussian = pretrained.restore(noisy, NoiseModel(NoiseKind.GAUSSIAN, 30.0, 0.1))
    assert psnr(result.pixels, clean) > max(psnr(noisy, clean) + 4, psnr(as_gaussian.pixels, clean))


def test_grey(pretrained, clean):
    grey = clean[1:2]
    noisy = with_noise(grey, 25).round().clamp(0, 255).byte()
    result = pretrained.denoise(Picture(noisy, alpha=torch.full(noisy.shape[1:], 9, dtype=torch.uint8)))
    assert result.pixels.shape == grey.shape
    assert result.pixels.dtype == torch.uint8
    assert (result.alpha == 9).all()
    assert psnr(result.pixels, grey) > psnr(noisy, grey) + 5


@pytest.mark.parametrize("name", [("layerkit", "data/photos/china.jpg"), ("skimage", "data/camera.png")])
def test_a_picture_without_noise_is_left(pretrained, name):
    pixels = read_photograph(*name)
    result = pretrained.restore(pixels)
    assert (result.pixels.float() - pixels.float()).abs().mean() < 1
    assert result.left
    assert str(result).endswith("; left as it is")


def test_one_that_is_too_small_is_left(pretrained):
    result = pretrained.restore(torch.zeros(3, 4, 4, dtype=torch.uint8))
    assert str(result) == "too small to estimate its noise; left as it is"


def test_strength_removes_more_or_less(pretrained, clean):
    noisy = with_noise(clean, 25)
    changes = []
    for strength in (0.5, 1.0, 1.5):
        result = BlindDenoiser(pretrained.denoiser, strength).restore(noisy)
        changes.append((result.pixels - noisy).square().mean().sqrt().item())
    assert changes == sorted(changes)
    assert changes[0] < 0.9 * changes[1]
    nothing = BlindDenoiser(pretrained.denoiser, 0.0).restore(noisy)
    assert torch.equal(nothing.pixels, noisy)


def test_flips_are_a_mean_that_turns_with_the_picture(pretrained, clean):
    averaged = BlindDenoiser(pretrained.denoiser, flips=True)
    noisy, noise = with_noise(clean, 50), NoiseModel(NoiseKind.GAUSSIAN, 50.0, 0.1)
    once = averaged.restore(noisy, noise).pixels
    assert psnr(once, clean) > psnr(pretrained.restore(noisy, noise).pixels, clean)
    turned = averaged.restore(noisy.mT.flip(1).contiguous(), noise).pixels.flip(1).mT
    torch.testing.assert_close(turned, once, rtol=0, atol=0.05)


def test_the_network_is_small_and_says_how_it_was_trained(pretrained):
    assert PRETRAINED.stat().st_size <= 4_000_000
    from layerkit.checkpoints.checkpoint import load

    architecture = load(PRETRAINED).architecture
    assert architecture.training.noise.type == "gaussian"
    assert architecture.input.noise_level


def own(tmp_path, channels: int, noise_level: bool) -> str:
    layer = {"type": "conv2d", "out_channels": channels, "kernel_size": 3, "padding": 1}
    size = {"channels": channels, "noise_level": noise_level, "height": 8, "width": 8}
    architecture = load_architecture(json.dumps({"format": 1, "name": "own", "input": size, "layers": [layer]}))
    path = str(tmp_path / "own.safetensors")
    save(path, build(architecture), architecture)
    return path


def test_a_grey_network_takes_colours_channel_by_channel(tmp_path, clean):
    denoiser = BlindDenoiser.load(own(tmp_path, 2, True))
    noisy, noise = with_noise(clean, 25), NoiseModel(NoiseKind.GAUSSIAN, 25.0, 0.1)
    channels = [denoiser.restore(channel[None], noise).pixels[0] for channel in noisy]
    torch.testing.assert_close(denoiser.restore(noisy, noise).pixels, torch.stack(channels))


def test_a_network_that_is_told_nothing(tmp_path):
    with pytest.raises(UserError, match='"own" is told no level of the noise'):
        BlindDenoiser.load(own(tmp_path, 4, False))
    with pytest.raises(UserError, match="the network's input has 3 channels; one that is told"):
        BlindDenoiser(Denoiser(build(load_architecture(_plain())), (3, 8, 8)))


def _plain() -> str:
    return '{"format": 1, "name": "n", "input": {"channels": 3, "height": 8, "width": 8}, "layers": [{"type": "relu"}]}'


@pytest.mark.parametrize("strength", [-0.1, 4.1, math.nan, "1"])
def test_strength_has_a_range(pretrained, strength):
    with pytest.raises(ArgumentError, match="BlindDenoiser: strength must be a number from 0 to 4, got"):
        BlindDenoiser(pretrained.denoiser, strength)


# Arrays


@pytest.mark.parametrize(("dtype", "white"), [("uint8", 255), ("uint16", 65535), ("float32", 255), ("float64", 1)])
@pytest.mark.parametrize("axes", ["HWC", "CHW", "HW", "NHWC"])
def test_arrays_of_any_kind_come_back_as_they_were(pretrained, clean, dtype, white, axes):
    truth = clean[:, :64, :64] * (white / 255)
    noisy = with_noise(clean, 25)[:, :64, :64] * (white / 255)
    if dtype.startswith("uint"):
        noisy = noisy.round().clamp(0, white)
    arrange = {"HWC": lambda x: x.permute(1, 2, 0), "CHW": lambda x: x, "HW": lambda x: x[1]}
    arrange["NHWC"] = lambda x: x.permute(1, 2, 0)[None].expand(2, -1, -1, -1)
    given = arrange[axes](noisy).numpy().astype(dtype)
    before = given.copy()
    result = pretrained.denoise(given)
    assert type(result) is np.ndarray
    assert (result.dtype, result.shape) == (given.dtype, given.shape)
    assert np.array_equal(given, before)
    expected = arrange[axes](truth).numpy()
    assert np.square(result - expected).mean() < np.square(given - expected).mean() / 3


def test_a_tensor_comes_back_as_a_tensor_and_transparency_as_it_was(pretrained, clean):
    noisy = torch.cat([with_noise(clean, 25), torch.full((1, *clean.shape[1:]), 7.0)]).permute(1, 2, 0)
    result = pretrained.denoise(noisy)
    assert isinstance(result, torch.Tensor)
    assert (result[..., 3] == 7).all()
    assert (result[..., :3] - noisy[..., :3]).abs().mean() > 5


@pytest.mark.parametrize("shape", [(5,), (2, 3, 4, 5, 6), (2, 5, 6, 5), (0, 5)])
def test_arrays_that_are_no_pictures(pretrained, shape):
    with pytest.raises(ShapeError, match=r"pictures: expected the shape \(H, W\), \(H, W, C\), .* got \("):
        pretrained.denoise(np.zeros(shape, np.uint8))


def test_values_that_are_no_numbers_of_pictures(pretrained):
    with pytest.raises(
        DataError, match="pictures: expected a torch tensor or a numpy array of uint8, uint16 or floats"
    ):
        pretrained.denoise(np.zeros((9, 9), np.complex64))
    with pytest.raises(DataError, match="some values are not finite"):
        pretrained.denoise(np.full((20, 20), np.nan))


def test_the_range_is_told_where_it_is_the_pictures_own(pretrained, clean):
    dim = (with_noise(clean, 25).clamp(min=0) * (300 / 255)).round().to(torch.uint16)
    result = pretrained.restore(dim)
    assert not result.scale.closed
    assert re.search(r"Gaussian noise, about 2\d of 255, give or take \d+ %, 255 standing for 3\d\d$", str(result))
    assert psnr(result.pixels.float() * (255 / 300), clean) > psnr(with_noise(clean, 25), clean) + 5


def test_tiles_change_nothing(clean):
    network = Conv2d(4, 4, 3, padding=1)
    network.weight.zero_()
    network.weight[range(4), range(4)] = 1 / 9
    network.bias.zero_()
    noisy, noise = with_noise(clean, 25), NoiseModel(NoiseKind.GAUSSIAN, 25.0, 0.1)
    whole, tiled = (
        BlindDenoiser(Denoiser(network, (4, 32, 32), tile)).restore(noisy, noise).pixels for tile in (512, 50)
    )
    torch.testing.assert_close(tiled, whole, rtol=0, atol=0.01)


def test_similar_windows_make_it_better(pretrained):
    clean = read_photograph("layerkit", "data/photos/china.jpg")[:, 100:228, 150:278].float()
    noisy, noise = with_noise(clean, 25), NoiseModel(NoiseKind.GAUSSIAN, 25.0, 0.1)
    network = pretrained.denoiser.restore(with_level(noisy[None], 25.0), Scale(closed=False))[0, :3]
    assert psnr(pretrained.restore(noisy, noise).pixels, clean) > psnr(network, clean) + 0.5


def test_progress_is_told_in_tiles(tmp_path, clean):
    told = []
    small = BlindDenoiser.load(own(tmp_path, 4, True), tile=96)
    small.restore(with_noise(clean, 25), progress=lambda done, tiles: told.append((done, tiles)))
    assert told == [(number, 4) for number in range(1, 5)]
