"""Which noise a picture has, as far as it tells."""

from __future__ import annotations

import io
import math

import numpy as np
import pytest
import torch
from PIL import Image

from layerkit.data.noise_model import NoiseKind, NoiseModel, estimate_noise_model
from layerkit.data.photographs import read_photograph
from layerkit.data.pictures import with_channels

PHOTOGRAPHS = [
    ("layerkit", "data/photos/raccoon.jpg"),
    ("layerkit", "data/photos/china.jpg"),
    ("skimage", "data/brick.png"),
]


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.fixture(scope="module", params=PHOTOGRAPHS, ids=lambda name: name[1])
def clean(request) -> torch.Tensor:
    return read_photograph(*request.param).float()


def stored(noisy: torch.Tensor) -> torch.Tensor:
    return noisy.round().clamp(0, 255).to(torch.uint8)


@pytest.mark.parametrize("sigma", [5, 15, 25, 50])
def test_gaussian_noise(clean, sigma):
    noisy = clean + sigma * torch.randn(clean.shape, generator=generator())
    found = estimate_noise_model(noisy)
    assert found.kind is NoiseKind.GAUSSIAN
    assert found.level == pytest.approx(sigma, rel=0.03)
    assert found.uncertainty < 0.1
    assert estimate_noise_model(stored(noisy)).level == pytest.approx(sigma, rel=0.1)


@pytest.mark.parametrize("peak", [10, 30, 100])
def test_poisson_noise(clean, peak):
    noisy = torch.poisson(clean * peak / 255, generator=generator()) * 255 / peak
    found = estimate_noise_model(noisy)
    assert found.kind is NoiseKind.POISSON
    assert found.peak == pytest.approx(peak, rel=0.15)
    assert found.level == pytest.approx(255 / math.sqrt(peak), rel=0.08)


def test_a_clean_photograph_has_hardly_any(clean):
    found = estimate_noise_model(clean)
    assert found.level < 2
    assert str(found) == f"hardly any noise, about {found.level:.1f} of 255"


def test_it_says_what_it_found_and_how_sure_it_is():
    assert str(NoiseModel(NoiseKind.GAUSSIAN, 25.2, 0.03)) == "Gaussian noise, about 25 of 255, give or take 3 %"
    poisson = NoiseModel(NoiseKind.POISSON, 51.0, 0.1)
    assert str(poisson) == "Poisson noise, about 51 of 255 in white (25 photons), give or take 10 %"
    assert NoiseModel(NoiseKind.GAUSSIAN, 0.0, 0.03).peak == math.inf


def test_a_constant_picture_has_none_and_a_tiny_one_tells_nothing():
    assert estimate_noise_model(torch.full((3, 40, 40), 7, dtype=torch.uint8)).level == 0
    assert estimate_noise_model(torch.zeros(3, 9, 40)) is None


def as_jpeg(pixels: torch.Tensor, subsampling: str) -> torch.Tensor:
    file = io.BytesIO()
    image = Image.fromarray(pixels.round().clamp(0, 255).byte().permute(1, 2, 0).numpy())
    image.save(file, "JPEG", quality=92, subsampling=subsampling)
    return torch.from_numpy(np.array(Image.open(file))).permute(2, 0, 1)


@pytest.mark.parametrize("name", ["china.jpg", "flower.jpg", "raccoon.jpg"])
@pytest.mark.parametrize("sigma", [10, 20])
def test_colours_of_half_the_size_do_not_hide_the_noise(name, sigma):
    # Of the noise of 10 the files have lost almost all that is in the colours, even if these have the full size.
    clean = read_photograph("layerkit", f"data/photos/{name}")[:, :300, :400].float()
    noise = sigma * torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    whole, halved = (estimate_noise_model(as_jpeg(clean + noise, form)) for form in ("4:4:4", "4:2:0"))
    assert whole.level == pytest.approx(sigma, rel=0.1 if sigma == 20 else 0.25)
    assert halved.level == pytest.approx(sigma, rel=0.25)
    assert halved.kind is NoiseKind.GAUSSIAN


@pytest.mark.parametrize(
    "name",
    [
        *(("layerkit", f"data/photos/{name}.jpg") for name in ("china", "flower", "raccoon")),
        *(("skimage", f"data/{name}.png") for name in ("gravel", "coins", "motorcycle_left", "ihc")),
    ],
    ids=lambda name: name[1],
)
def test_the_texture_of_clean_files_is_no_noise(name):
    clean = with_channels(read_photograph(*name), 3)[:, :300, :400]
    for form in ("4:4:4", "4:2:0"):
        found = estimate_noise_model(as_jpeg(clean, form))
        assert found.deviation(clean.float()).mean() < 5
