"""Pairs from one noisy picture."""

from __future__ import annotations

import pytest
import torch

from layerkit.builtin.noises.gaussian import Gaussian
from layerkit.data.alone import MORE_NOISE, RecorruptedCrops, continued
from layerkit.data.noise_model import NoiseKind, NoiseModel
from layerkit.data.pictures import Picture, write_picture
from layerkit.data.sources import anywhere, channels_of, fingerprint, load_dataset
from layerkit.errors import DataError

NOISE = NoiseModel(NoiseKind.GAUSSIAN, 20.0, 0.03)


def noisy(channels: int = 3, height: int = 40, width: int = 52) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return (100 + 20 * torch.randn(channels, height, width, generator=generator)).round().clamp(0, 255).byte()


def test_the_noises_of_a_pair_have_nothing_in_common():
    generator = torch.Generator().manual_seed(3)
    picture = 100 + 20 * torch.randn(3, 64, 64, generator=generator)
    inputs, targets = RecorruptedCrops(picture, NOISE, (3, 64, 64), 0, 40).chunk(0, 0)
    first, second = 255 * inputs - 100, 255 * targets - 100
    assert abs((first * second).mean().item()) < 15  # of 400, which either alone would give with the picture itself
    assert first.std().item() == pytest.approx(20 * (1 + MORE_NOISE**2) ** 0.5, rel=0.03)
    assert second.std().item() == pytest.approx(20 * (1 + MORE_NOISE**-2) ** 0.5, rel=0.03)


def test_crops_come_twice_with_opposite_noise():
    pairs = RecorruptedCrops(noisy(), NOISE, (3, 16, 16), 0, 9)
    inputs, targets = pairs.chunk(0, 0)
    assert len(inputs) == len(targets) == len(pairs) == 9
    torch.testing.assert_close(inputs[0] + inputs[1], targets[0] + targets[1])
    assert not torch.equal(inputs[0] + inputs[1], inputs[2] + inputs[3])


def test_photons_make_more_noise_where_it_is_bright():
    picture = torch.tensor([25.5, 255.0]).repeat_interleave(32).expand(1, 64, 64)
    pairs = RecorruptedCrops(picture, NoiseModel(NoiseKind.POISSON, 40.0, 0.03), (1, 64, 64), 0, 8)
    inputs, _ = pairs.chunk(0, 0)
    of_noise = 255 * (inputs[0::2] - inputs[1::2]) / 2 / MORE_NOISE
    bright = (inputs[0::2] + inputs[1::2]) / 2 > 0.5
    assert of_noise[bright].std().item() == pytest.approx(40, rel=0.05)
    assert of_noise[~bright].std().item() == pytest.approx(40 * 0.1**0.5, rel=0.05)


def test_the_same_seed_gives_the_same_pairs_and_another_epoch_others():
    def chunk(seed: int, epoch: int) -> torch.Tensor:
        return RecorruptedCrops(noisy(), NOISE, (3, 16, 16), seed, 8).chunk(epoch, 0)[0]

    assert torch.equal(chunk(1, 0), chunk(1, 0))
    assert not torch.equal(chunk(1, 0), chunk(2, 0))
    assert not torch.equal(chunk(1, 0), chunk(1, 1))


def test_a_small_picture_is_continued_by_its_mirror_image():
    picture = torch.tensor([[[1, 2, 3], [4, 5, 6]]])
    assert continued(picture, 5, 4).tolist() == [
        [[1, 2, 3, 3], [4, 5, 6, 6], [4, 5, 6, 6], [1, 2, 3, 3], [1, 2, 3, 3]],
    ]
    assert continued(picture, 2, 1) is picture
    assert RecorruptedCrops(noisy(3, 11, 60), NOISE, (3, 16, 16), 0, 2).chunk(0, 0)[0].shape == (2, 3, 16, 16)


def test_as_a_source(tmp_path, monkeypatch):
    write_picture(tmp_path / "photo.png", Picture(noisy()))
    given = f"alone:{tmp_path / 'photo.png'}"
    dataset = load_dataset(given, (3, 16, 16), Gaussian(50.0), 0, 10)
    assert dataset.validation is None
    assert dataset.description.startswith("random crops of photo.png alone (Gaussian noise, about ")
    assert dataset.train.chunk(0, 0)[0].shape == (10, 3, 16, 16)
    assert load_dataset(given, (1, 16, 16), Gaussian(50.0), 0, 10).train.chunk(0, 0)[0].shape == (10, 1, 16, 16)
    assert channels_of(given) == (1, 3)
    monkeypatch.chdir(tmp_path)
    assert anywhere("alone:photo.png") == given
    assert fingerprint(given) == fingerprint(str(tmp_path / "photo.png"))


def test_pictures_that_give_no_pairs(tmp_path):
    write_picture(tmp_path / "tiny.png", Picture(noisy(3, 9, 30)))
    with pytest.raises(DataError, match=r"tiny\.png: 9 x 30 pixels are too few to estimate their noise"):
        load_dataset(f"alone:{tmp_path / 'tiny.png'}", (3, 16, 16), Gaussian(50.0), 0, 10)
    with pytest.raises(DataError, match=r"alone:none\.png: no such file or folder; give one of these"):
        load_dataset("alone:none.png", (3, 16, 16), Gaussian(50.0), 0, 10)
