"""What a network gains, measured where the clean pictures are known and estimated where they are not."""

from __future__ import annotations

import pytest
import torch

from layerkit.builtin.layers.conv2d import Conv2d
from layerkit.data.dataset import Validation
from layerkit.denoising.denoiser import Denoiser
from layerkit.denoising.evaluation import Evaluation, Examples, denoise_unit, evaluate, examples
from layerkit.denoising.metrics import PSNR_MEAN, SSIM, Quality
from layerkit.errors import DataError


@pytest.fixture
def blur() -> Denoiser:
    """Return a denoiser that takes the mean over 3x3 pixels."""
    network = Conv2d(1, 1, 3, padding=1)
    network.weight.fill_(1 / 9)
    network.bias.zero_()
    return Denoiser(network, (1, 32, 32))


def ramps(sigma: float, count: int = 60) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return smooth pictures, and two noisy versions."""
    generator = torch.Generator().manual_seed(0)
    slope = torch.linspace(0.3, 0.7, 32)
    clean = (slope[:, None] + slope - 0.5).expand(count, 1, 32, 32)
    noisy, again = (clean + sigma * torch.randn(clean.shape, generator=generator) for _ in range(2))
    return clean, noisy, again


def test_an_estimate_says_what_a_measurement_says(blur):
    clean, noisy, again = ramps(0.08)
    truth, estimated = evaluate(blur, noisy, clean), evaluate(blur, noisy, again=again)
    assert (truth.estimated, estimated.estimated) == (False, True)
    assert truth.pictures == estimated.pictures == 60
    # 61,440 values: an estimated error is off by about sqrt(2 / 61440) = 0.6 % of sigma^2, or 0.03 dB.
    assert estimated.noisy.psnr_of_mse == pytest.approx(truth.noisy.psnr_of_mse, abs=0.1)
    assert estimated.denoised.psnr_of_mse == pytest.approx(truth.denoised.psnr_of_mse, abs=0.1)
    assert estimated.constant == pytest.approx(truth.constant, abs=0.1)  # all clean pictures are one
    assert truth.gain > 0.5
    assert estimated.gain == estimated.denoised.psnr_of_mse - estimated.noisy.psnr_of_mse
    assert estimated.gain == pytest.approx(truth.denoised.psnr_of_mse - truth.noisy.psnr_of_mse, abs=0.2)
    assert not estimated.learned_nothing


def test_a_network_that_learned_nothing_is_found_without_clean_pictures(blur):
    _, noisy, again = ramps(0.08)
    blur.network.weight.zero_()
    blur.network.bias.fill_(noisy.mean())
    result = evaluate(blur, noisy, again=again)
    assert result.learned_nothing
    assert result.denoised.psnr_of_mse == pytest.approx(result.constant, abs=0.1)


def test_something_must_be_given_to_judge_by(blur):
    with pytest.raises(DataError, match="evaluation needs clean pictures, or the same pictures with independent noise"):
        evaluate(blur, ramps(0.1, 2)[1])


@pytest.mark.parametrize(("count", "chosen"), [(3, [0, 1, 2]), (9, [0, 1, 2, 3, 4]), (12, [0, 2, 4, 6, 8])])
def test_examples_are_evenly_chosen(blur, count, chosen):
    clean, noisy, _ = ramps(0.08, count)
    shown = examples(blur, Validation(noisy, clean))
    assert shown.noisy.equal(noisy[chosen])
    torch.testing.assert_close(shown.denoised, denoise_unit(blur, noisy)[chosen])
    assert shown.clean is not None and shown.clean.equal(clean[chosen])
    assert shown.drawable
    assert examples(blur, Validation(noisy, None)).clean is None


def test_examples_of_two_channels_cannot_be_drawn():
    pictures = torch.zeros(1, 2, 8, 8)
    assert not Examples(pictures, pictures, None).drawable


def test_the_gain_in_a_metric_is_after_minus_before():
    before, after = (Quality(psnr_mean=psnr, psnr_of_mse=psnr, ssim=None) for psnr in (20.0, 21.5))
    evaluation = Evaluation(1, before, after, 10.0)
    assert evaluation.gain_in(PSNR_MEAN) == evaluation.gain == 1.5
    assert evaluation.gain_in(SSIM) is None
