from __future__ import annotations

import numpy as np
import pytest
import torch
from skimage.filters import gaussian
from skimage.restoration import denoise_nl_means, denoise_tv_chambolle

from layerkit.data.dataset import Validation
from layerkit.denoising.baselines import BASELINES, BM3D, Tuned, fit_to_noise, installed_baselines
from layerkit.denoising.metrics import psnr

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


@pytest.mark.parametrize("sigma", [5, 25, 75])
def test_fitted_to_noise_they_help(sigma):
    validation = pictures(2, 48, sigma)
    before = psnr(validation.noisy.clamp(0, 1), validation.clean).mean()
    for fitted in fit_to_noise(sigma):
        assert psnr(fitted.apply(validation.noisy).clamp(0, 1), validation.clean).mean() > before + 1, fitted.name


@pytest.mark.parametrize(("found", "expected"), [(None, BASELINES), ("a spec", (*BASELINES, BM3D))])
def test_bm3d_is_among_them_where_its_user_has_installed_it(monkeypatch, found, expected):
    monkeypatch.setattr("layerkit.denoising.bm3d.importlib.util.find_spec", {"bm3d": found}.get)
    assert installed_baselines() == expected
