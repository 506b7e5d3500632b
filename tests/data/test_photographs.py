"""The built-in photographs are split before they are cut."""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path

import pytest
import torch

from layerkit.builtin.noises.gaussian import Gaussian
from layerkit.builtin.noises.pixelate import Pixelate
from layerkit.data import photographs
from layerkit.data.crops import PictureCrops
from layerkit.data.pairs import batches
from layerkit.data.sources import load_dataset
from layerkit.errors import DataError

NOISELESS = Gaussian(0.0)


@pytest.fixture(scope="module")
def photos():
    return load_dataset("photos", (3, 32, 32), Pixelate(8), 0, 50_000)


def test_photos(photos):
    assert len(photos.train) == 50_000
    inputs, targets = next(batches(photos.train, 0, 64))
    assert inputs.shape == targets.shape == (64, 3, 32, 32)
    noisy, clean, _ = photos.validation
    assert noisy.shape == clean.shape == (1000, 3, 32, 32)
    for values in (inputs, targets, noisy, clean):
        assert values.dtype == torch.float32
        assert values.min() >= 0
        assert values.max() <= 1
    assert "7 photographs" in photos.description
    assert "crops of 5 for training, 1,000 crops of 2 for validation" in photos.description


def test_photos_are_about_as_noisy_as_the_course_data(photos):
    noisy, clean, _ = photos.validation
    psnr = -10 * (noisy - clean).square().mean((1, 2, 3)).log10()
    assert 20 < psnr.mean() < 21.5  # theirs is 20.72


def test_colours_change_places_and_both_draws_alike():
    colours = torch.arange(3, dtype=torch.uint8).mul(100)[:, None, None].expand(3, 64, 64)
    inputs, targets = PictureCrops([[colours]], NOISELESS, (3, 8, 8), 0, 1024, recolour=True).chunk(0, 0)
    assert torch.equal(inputs, targets)
    orders = {tuple(order) for order in inputs[:, :, 0, 0].mul(2.55).round().int().tolist()}
    assert len(orders) == 6
    kept, _ = PictureCrops([[colours]], NOISELESS, (3, 8, 8), 0, 64).chunk(0, 0)
    assert torch.equal(kept[:, :, 0, 0], kept[:1, :, 0, 0].expand(64, 3))


def test_photos_are_split_by_photograph():
    assert not set(photographs.TRAINING) & set(photographs.VALIDATION)


def test_validation_is_the_same_for_every_seed(photos):
    other = load_dataset("photos", (3, 32, 32), Pixelate(8), 1, 10)
    assert torch.equal(other.validation.noisy, photos.validation.noisy)
    assert torch.equal(other.validation.clean, photos.validation.clean)
    assert not torch.equal(other.train.chunk(0, 0)[0], photos.train.chunk(0, 0)[0][:10])


def test_gray_photos():
    gray = load_dataset("photos", (1, 16, 24), Gaussian(25.0), 0, 100, validation_samples=50)
    assert next(batches(gray.train, 0, 8))[0].shape == (8, 1, 16, 24)
    assert gray.validation.clean.shape == (50, 1, 16, 24)


def test_photos_are_enlarged_for_large_inputs_but_not_beyond_reason():
    large = load_dataset("photos", (3, 60, 60), Pixelate(8), 0, 4, validation_samples=2)
    assert large.train.chunk(0, 0)[0].shape == (4, 3, 60, 60)
    with pytest.raises(DataError, match="photographs are too small for crops of 2048x2048 pixels; the noise needs"):
        load_dataset("photos", (3, 256, 256), Pixelate(8), 0, 4)


def test_the_carried_photographs_are_those_of_the_credits():
    folder = Path(photographs.__file__).with_name("photos")
    digests = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.glob("*.jpg")}
    assert digests == {
        "china.jpg": "8378025ad2519d649d02e32bd98990db4ab572357d9f09841c2fbfbb4fefad29",
        "flower.jpg": "a77f6ec41e353afdf8bdff2ea981b2955535d8d83294f8cfa49cf4e423dd5638",
        "raccoon.jpg": "2bdfe444a3777ed2c1a98c8648b7a2175144e5e8b55569c4027f9480f111133c",
    }
    credits = (folder / "CREDITS.md").read_text()
    assert all(name in credits for name in digests)


def test_photos_need_their_packages(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DataError, match=r'"photos" needs skimage for data/astronaut\.png, and skimage is not inst'):
        load_dataset("photos", (3, 32, 32), NOISELESS, 0, 4)
