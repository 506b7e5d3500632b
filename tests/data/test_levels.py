"""The level of the noise as one more channel."""

from __future__ import annotations

import pytest
import torch

from layerkit import Gaussian, Sequential, load_architecture
from layerkit.data.dataset import Dataset, Validation
from layerkit.data.levels import leveled, levels, with_level
from layerkit.data.sources import load_dataset
from layerkit.denoising.denoiser import Denoiser
from layerkit.denoising.evaluation import evaluate, examples
from layerkit.errors import SpecError


def noisy(sigma: float, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 0.5 + sigma / 255 * torch.randn(3, 3, 64, 64, generator=generator)


def test_two_noisy_versions_tell_the_level():
    assert levels(noisy(25, 0), noisy(25, 1), clean=False).mul(255).tolist() == pytest.approx([25] * 3, rel=0.03)
    assert levels(noisy(25, 0), torch.full((), 0.5), clean=True).mul(255).tolist() == pytest.approx([25] * 3, rel=0.03)


def test_what_is_unknown_does_not_count():
    target = noisy(25, 1)
    target[:, :, ::2] = float("nan")
    assert levels(noisy(25, 0), target, clean=False).mul(255).tolist() == pytest.approx([25] * 3, rel=0.05)


def test_the_plane_is_the_last_channel():
    pictures = torch.zeros(2, 3, 4, 5)
    joined = with_level(pictures, torch.tensor([0.1, 0.2]))
    assert joined.shape == (2, 4, 4, 5)
    assert torch.equal(joined[:, :3], pictures)
    assert joined[:, 3].amax((1, 2)).tolist() == joined[:, 3].amin((1, 2)).tolist() == pytest.approx([0.1, 0.2])
    assert torch.equal(with_level(pictures, 0.1)[:, 3], torch.full((2, 4, 5), 0.1))


@pytest.mark.parametrize("clean_targets", [False, True])
def test_pairs_tell_the_level_to_input_and_target(clean_targets):
    data = load_dataset("photos", (4, 32, 32), Gaussian(20.0), 0, 64, clean_targets, noise_level=True)
    inputs, targets = data.train.chunk(0, 0)
    assert inputs.shape == targets.shape == (64, 4, 32, 32)
    assert torch.equal(inputs[:, 3], targets[:, 3])
    assert inputs[:, 3].mean().mul(255).item() == pytest.approx(20, rel=0.01)
    assert data.validation.noisy.shape[1] == 4
    assert data.validation.clean.shape[1] == data.validation.pictures.shape[1] == 3


def test_the_plane_is_not_judged():
    clean, again = torch.full((3, 3, 64, 64), 0.5), noisy(25, 1)
    denoiser = Denoiser(Sequential(), (4, 64, 64))
    for validation in (Validation(noisy(25, 0), clean), Validation(noisy(25, 0), None, again)):
        told = leveled(Dataset(None, validation, "", ""), False).validation
        result, plain = evaluate(denoiser, *told), evaluate(Denoiser(Sequential(), (3, 64, 64)), *validation)
        assert result.noisy == plain.noisy
        assert examples(denoiser, told).denoised.shape[1] == 3


def test_grey_and_a_level_are_two_channels_and_no_other_number_will_do():
    text = """{"format": 1, "name": "n", "input": {"channels": 3, "noise_level": true, "height": 8, "width": 8},
    "layers": [{"type": "relu"}], "training": {"loss": {"type": "mse"}, "optimizer": {"type": "sgd", "lr": 0.1},
    "noise": {"type": "gaussian", "sigma": 5.0}}}"""
    with pytest.raises(
        SpecError, match=r"one more for the noise level, and the data .photos. are pictures; write 2 or 4"
    ):
        load_architecture(text, data="photos")
    assert load_architecture(text, data="photos", overrides={"input.channels": 2}).input.noise_level
