from __future__ import annotations

import pytest
import torch

from layerkit.data.dataset import Validation
from layerkit.denoising.baselines import BASELINES, Baseline, Tuned
from layerkit.denoising.metrics import estimate, measure, psnr
from layerkit.denoising.tuning import TUNING_PICTURES, TUNING_PIXELS, TUNING_SIDE, measure_baselines, tune
from layerkit.errors import DataError

TOTAL_VARIATION = BASELINES[2]


def pictures(count: int, side: int = 16, sigma: float = 25, channels: int = 3) -> Validation:
    """Return slopes with an edge, and the same with Gaussian noise."""
    generator = torch.Generator().manual_seed(0)
    slope = torch.linspace(0.2, 0.8, side).expand(count, channels, side, side).clone()
    slope[:, :, side // 2 :] *= torch.rand(count, channels, 1, 1, generator=generator)
    return Validation(slope + sigma / 255 * torch.randn(slope.shape, generator=generator), slope)


def score(tuned: Tuned, validation: Validation) -> float:
    return psnr(tuned.apply(validation.noisy).clamp(0, 1), validation.clean).mean().item()


# Parameters


def test_the_tuned_one_is_the_best_of_the_grid():
    validation = pictures(3)
    for tuned in tune(validation):
        assert tuned.parameters in tuned.baseline.grid
        scores = [score(Tuned(tuned.baseline, parameters), validation) for parameters in tuned.baseline.grid]
        assert score(tuned, validation) == max(scores) > min(scores)


def test_more_noise_takes_more_of_every_method():
    for weak, strong in zip(
        *(tune(pictures(3, sigma=sigma)) for sigma in (3, 40)),
        strict=True,
    ):
        name = "weight" if weak.baseline is TOTAL_VARIATION else "sigma"
        assert weak.parameters[name] < strong.parameters[name]


def test_a_part_of_many_or_large_pictures_is_tried():
    seen = []

    def method(pictures, strength):
        seen.extend(picture.shape for picture in pictures)
        return pictures

    baseline = Baseline("witness", method, ({"strength": 1},), lambda sigma: {})
    tune(Validation(*torch.rand(2, 3000, 1, 32, 32)), [baseline])
    assert 0.5 * TUNING_PIXELS <= sum(height * width for _, height, width in seen) <= TUNING_PIXELS
    seen.clear()
    tune(Validation(*torch.rand(2, 3000, 1, 4, 4)), [baseline])
    assert 0.5 * TUNING_PICTURES <= len(seen) <= TUNING_PICTURES
    seen.clear()
    tune(Validation(*torch.rand(2, 3, 1, 150, 2000)), [baseline])
    assert seen == [(1, TUNING_SIDE, TUNING_SIDE)] * 3


def shots(count: int, sigma: float) -> Validation:
    """Return the pictures twice, with noise of their own, in place of the clean ones."""
    noisy, clean = pictures(count, 48, sigma)[:2]
    generator = torch.Generator().manual_seed(1)
    return Validation(noisy, None, clean + sigma / 255 * torch.randn(clean.shape, generator=generator))


@pytest.mark.parametrize("sigma", [10, 40])
def test_without_clean_pictures_the_best_are_found_all_the_same(sigma):
    known, unknown = pictures(6, 48, sigma), shots(6, sigma)
    for true, guess in zip(tune(known), tune(unknown), strict=True):
        assert true.baseline is guess.baseline
        worst = min(score(Tuned(true.baseline, parameters), known) for parameters in true.baseline.grid)
        assert score(guess, known) > score(true, known) - 0.1 > worst + 1


@pytest.mark.parametrize("validation", [pictures(6, 48, 30), shots(6, 30)], ids=["clean", "noisy again"])
def test_a_method_that_is_told_the_level_of_the_noise_gets_it_from_the_pairs(validation):
    (tuned,) = tune(
        validation, [Baseline("told", lambda pictures, sigma: pictures, (), lambda sigma: {"sigma": sigma})]
    )
    assert tuned.parameters["sigma"] == pytest.approx(30, rel=0.03)


def test_parameters_are_chosen_by_something():
    with pytest.raises(DataError, match="tuned to clean pictures, or to the same with noise drawn anew; neither was"):
        tune(Validation(pictures(2).noisy, None))


# Results


def test_the_results_are_measured_on_all_pictures():
    validation = pictures(3)
    results = measure_baselines(validation)
    assert [result.name for result in results] == ["Gaussian blur", "non-local means", "total variation"]
    for result, tuned in zip(results, tune(validation), strict=True):
        assert result.parameters == tuned.parameters
        assert result.quality == measure(tuned.apply(validation.noisy), validation.clean)
        assert result.seconds > 0


def test_without_clean_pictures_they_are_estimates():
    validation = shots(3, 25)
    for result, tuned in zip(measure_baselines(validation), tune(validation), strict=True):
        denoised = tuned.apply(validation.noisy)
        assert result.quality == estimate(denoised, validation.noisy, validation.noisy_again)
        assert result.quality.psnr_mean is None
