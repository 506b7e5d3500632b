from __future__ import annotations

import numpy as np
import pytest
import torch
from skimage.filters import gaussian
from skimage.restoration import denoise_nl_means, denoise_tv_chambolle

from layerkit.data.dataset import Validation
from layerkit.denoising.baselines import (
    BASELINES,
    TUNING_PICTURES,
    TUNING_PIXELS,
    TUNING_SIDE,
    Baseline,
    Tuned,
    fit_to_noise,
    measure_baselines,
    tune,
)
from layerkit.denoising.metrics import measure, psnr

BLUR, NL_MEANS, TOTAL_VARIATION = BASELINES


def pictures(count: int, side: int = 16, sigma: float = 25, channels: int = 3) -> Validation:
    """Return slopes with an edge, and the same with Gaussian noise."""
    generator = torch.Generator().manual_seed(0)
    slope = torch.linspace(0.2, 0.8, side).expand(count, channels, side, side).clone()
    slope[:, :, side // 2 :] *= torch.rand(count, channels, 1, 1, generator=generator)
    return Validation(slope + sigma / 255 * torch.randn(slope.shape, generator=generator), slope)


# The methods


@pytest.mark.parametrize("channels", [1, 3])
def test_the_methods_are_those_of_scikit_image(channels):
    noisy = pictures(2, 12, channels=channels).noisy
    wanted = [
        (BLUR, {"sigma": 0.7}, gaussian),
        (NL_MEANS, {"patch_size": 3, "patch_distance": 2, "sigma": 0.1, "h": 0.06}, denoise_nl_means),
        (TOTAL_VARIATION, {"weight": 0.1}, denoise_tv_chambolle),
    ]
    for baseline, parameters, function in wanted:
        denoised = Tuned(baseline, parameters).apply(noisy)
        for picture, result in zip(noisy.numpy(), denoised.numpy(), strict=True):
            layout = (
                {"image": picture[0]} if channels == 1 else {"image": picture.transpose(1, 2, 0), "channel_axis": 2}
            )
            expected = function(**layout, **parameters).reshape(12, 12, channels).transpose(2, 0, 1)
            np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("tuned", fit_to_noise(25), ids=lambda tuned: tuned.name)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("shape", [(0, 3, 8, 8), (1, 1, 1, 1), (1, 3, 1, 9), (2, 1, 2, 1), (1, 3, 2, 2), (1, 1, 5, 3)])
def test_pictures_of_every_size(tuned, shape, dtype):
    noisy = torch.rand(shape, generator=torch.Generator().manual_seed(0), dtype=dtype)
    before = noisy.clone()
    denoised = tuned.apply(noisy)
    assert (denoised.shape, denoised.dtype) == (noisy.shape, dtype)
    assert denoised.isfinite().all()
    assert noisy.equal(before)


# Parameters


def test_the_tuned_one_is_the_best_of_the_grid():
    validation = pictures(3)
    for tuned in tune(validation.noisy, validation.clean):
        assert tuned.parameters in tuned.baseline.grid
        scores = [score(Tuned(tuned.baseline, parameters), validation) for parameters in tuned.baseline.grid]
        assert score(tuned, validation) == max(scores) > min(scores)


def score(tuned: Tuned, validation: Validation) -> float:
    return psnr(tuned.apply(validation.noisy).clamp(0, 1), validation.clean).mean().item()


def test_more_noise_takes_more_of_every_method():
    for weak, strong in zip(
        *(tune(*pictures(3, sigma=sigma)[:2]) for sigma in (3, 40)),
        strict=True,
    ):
        name = "weight" if weak.baseline is TOTAL_VARIATION else "sigma"
        assert weak.parameters[name] < strong.parameters[name]


@pytest.mark.parametrize("sigma", [5, 25, 75])
def test_fitted_to_noise_they_help(sigma):
    validation = pictures(2, 48, sigma)
    before = psnr(validation.noisy.clamp(0, 1), validation.clean).mean()
    for fitted in fit_to_noise(sigma):
        assert score(fitted, validation) > before + 1, fitted.name


def test_a_part_of_many_or_large_pictures_is_tried():
    seen = []

    def method(picture, strength):
        seen.append(picture.shape)
        return picture

    baseline = Baseline("witness", method, ({"strength": 1},), lambda sigma: {})
    tune(torch.rand(3000, 1, 32, 32), torch.rand(3000, 1, 32, 32), [baseline])
    assert 0.5 * TUNING_PIXELS <= sum(height * width for _, height, width in seen) <= TUNING_PIXELS
    seen.clear()
    tune(torch.rand(3000, 1, 4, 4), torch.rand(3000, 1, 4, 4), [baseline])
    assert 0.5 * TUNING_PICTURES <= len(seen) <= TUNING_PICTURES
    seen.clear()
    tune(torch.rand(3, 1, 150, 2000), torch.rand(3, 1, 150, 2000), [baseline])
    assert seen == [(1, TUNING_SIDE, TUNING_SIDE)] * 3


# Results


def test_the_results_are_measured_on_all_pictures():
    validation = pictures(3)
    results = measure_baselines(validation)
    assert [result.name for result in results] == ["Gaussian blur", "non-local means", "total variation"]
    for result, tuned in zip(results, tune(*validation[:2]), strict=True):
        assert result.parameters == tuned.parameters
        assert result.quality == measure(tuned.apply(validation.noisy), validation.clean)


def test_without_clean_pictures_there_are_none():
    noisy = pictures(2).noisy
    assert measure_baselines(Validation(noisy, None, noisy)) == []
