"""The data set "variety"."""

from __future__ import annotations

import math

import pytest
import torch

from layerkit import Gaussian
from layerkit.data import variety as module
from layerkit.data.crops import PictureCrops
from layerkit.data.leaves import dead_leaves, natural_texture
from layerkit.data.photographs import VALIDATION
from layerkit.data.sources import anywhere, fingerprint, load_dataset
from layerkit.data.variety import MORE, VariedCrops, recoloured
from layerkit.errors import DataError


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def photograph() -> torch.Tensor:
    return torch.randint(0, 256, (3, 200, 300), generator=generator(), dtype=torch.uint8)


def test_dead_leaves_cover_everything_and_come_from_the_generator():
    first, again, other = (dead_leaves(64, [photograph()], generator(seed)) for seed in (1, 1, 2))
    assert first.shape == (3, 64, 64)
    assert first.dtype == torch.uint8
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert (first.sum(0) == 0).float().mean() < 0.05  # the ground is black


def test_a_natural_texture_falls_with_frequency():
    spectrum = torch.fft.rfft2(natural_texture(256, 1.4, generator())).abs().square()
    low, high = spectrum[0, 4:9].mean() + spectrum[4:9, 0].mean(), spectrum[0, 32:65].mean() + spectrum[32:65, 0].mean()
    slope = math.log2(low / high) / 3 / 2  # three octaves, amplitude instead of energy
    assert slope == pytest.approx(1.4, abs=0.4)


def test_other_colours_stay_within_the_range():
    piece = torch.rand(3, 20, 20, generator=generator())
    seen = [recoloured(piece, torch.rand(5, generator=generator(seed)).tolist()) for seed in range(100)]
    assert min(x.min() for x in seen) >= 0
    assert max(x.max() for x in seen) <= 1 + 1e-6
    assert sum(torch.equal(x, piece) for x in seen) in range(3, 30)  # an eighth


def test_strips_are_grey_and_cut_off_at_times_and_targets_never():
    pairs = VariedCrops([[photograph()]], Gaussian(60.0), (3, 16, 16), 0, 800)
    noisy, target = pairs.chunk(0, 0)
    grey = (noisy[:, 0] == noisy[:, 1]).flatten(1).all(1)
    assert 0.05 < grey.float().mean() < 0.3
    assert torch.equal((target[:, 0] == target[:, 2]).flatten(1).all(1), grey)
    stored = ((noisy * 255).round() / 255 - noisy).abs().flatten(1).amax(1) < 1e-6
    assert 0.35 < stored.float().mean() < 0.65
    assert noisy[stored].min() >= 0
    assert noisy[stored].max() <= 1
    assert target.flatten(1).amin(1).lt(0).float().mean() > 0.9
    assert torch.equal(noisy, VariedCrops([[photograph()]], Gaussian(60.0), (3, 16, 16), 0, 800).chunk(0, 0)[0])


def test_what_it_is_judged_on_is_not_among_what_it_sees(monkeypatch):
    assert not set(VALIDATION) & set(MORE)
    monkeypatch.setattr(module, "LEAF_SIDE", 150)
    data = load_dataset("variety", (3, 32, 32), Gaussian(0.0), 0, 64, validation_samples=8)
    assert "10 photographs and 6 pictures of dead leaves, 8 crops of 2 photographs" in data.description
    photos = load_dataset("photos", (3, 32, 32), Gaussian(0.0), 0, 64, validation_samples=8)
    assert torch.equal(data.validation.clean, photos.validation.clean)
    assert isinstance(data.train, PictureCrops)


def test_it_has_a_name_and_no_path():
    assert anywhere("variety") == fingerprint("variety") == "variety"
    assert anywhere("some/folder").startswith("/")


@pytest.mark.parametrize("shape", [(1, 32, 32), (3, 32, 200)])
def test_inputs_that_it_cannot_fill(shape):
    with pytest.raises(DataError, match=r'"variety" is for networks for colour, 3 channels and crops of at most 150'):
        load_dataset("variety", shape, Gaussian(0.0), 0, 64)
