from __future__ import annotations

import math

import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from layerkit.denoising.metrics import METRICS, PSNR_MEAN, SSIM, constant_psnr, estimate, measure, psnr, ssim
from layerkit.errors import DataError, ShapeError

NO_ERROR = 10 * math.log10(12 * 255**2)
"""The PSNR that rounding to 8 bits leaves."""


def pictures(count: int = 6, channels: int = 3, height: int = 20, width: int = 17) -> tuple[torch.Tensor, torch.Tensor]:
    """Return noisy and clean pictures; the noise differs from picture to picture."""
    generator = torch.Generator().manual_seed(0)
    clean = torch.rand(count, channels, height, width, generator=generator)
    strength = torch.linspace(0.02, 0.4, count).view(count, 1, 1, 1)
    return clean + strength * torch.randn(clean.shape, generator=generator), clean


def test_psnr_is_that_of_scikit_image() -> None:
    noisy, clean = pictures()
    theirs = [peak_signal_noise_ratio(c.numpy(), n.numpy(), data_range=1.0) for n, c in zip(noisy, clean, strict=True)]
    torch.testing.assert_close(psnr(noisy, clean), torch.tensor(theirs, dtype=torch.float64), rtol=1e-6, atol=0)


def test_psnr_of_a_known_error() -> None:
    clean = torch.full((2, 1, 4, 4), 0.5, dtype=torch.float64)
    assert psnr(clean + 0.1, clean).tolist() == pytest.approx([20.0, 20.0])


def test_an_identical_picture_has_an_infinite_psnr() -> None:
    _, clean = pictures(2)
    assert psnr(clean, clean).tolist() == [math.inf, math.inf]


@pytest.mark.parametrize(("height", "width", "window"), [(20, 17, 7), (7, 30, 7), (6, 9, 5), (4, 4, 3), (3, 3, 3)])
@pytest.mark.parametrize("channels", [1, 3])
def test_ssim_is_that_of_scikit_image(height: int, width: int, window: int, channels: int) -> None:
    noisy, clean = pictures(4, channels, height, width)
    theirs = [
        structural_similarity(
            c.permute(1, 2, 0).double().numpy(),
            n.permute(1, 2, 0).double().numpy(),
            win_size=window,
            channel_axis=2,
            data_range=1.0,
        )
        for n, c in zip(noisy, clean, strict=True)
    ]
    torch.testing.assert_close(ssim(noisy, clean), torch.tensor(theirs, dtype=torch.float64), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("size", [(2, 9), (9, 2), (1, 1)])
def test_ssim_is_not_defined_for_tiny_pictures(size: tuple[int, int]) -> None:
    noisy, clean = pictures(2, 3, *size)
    assert ssim(noisy, clean) is None
    assert measure(noisy, clean).ssim is None


def test_quality_tells_the_two_psnrs_apart() -> None:
    noisy, clean = pictures()
    quality = measure(noisy, clean)
    errors = (noisy.clamp(0, 1) - clean).square().double()
    assert quality.psnr_of_mse == pytest.approx(-10 * math.log10(errors.mean()), abs=1e-5)
    each = [-10 * math.log10(error.mean()) for error in errors]
    assert quality.psnr_mean == pytest.approx(sum(each) / len(each), abs=1e-5)
    assert quality.psnr_mean > quality.psnr_of_mse + 1
    assert quality.ssim == pytest.approx(ssim(noisy.clamp(0, 1), clean).mean().item())


def test_pictures_without_an_error_count_as_rounded_ones() -> None:
    clean = torch.rand(4, 3, 64, 64, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    rounded = (clean * 255).round() / 255
    assert measure(rounded, clean).psnr_mean == pytest.approx(NO_ERROR, abs=0.1)
    assert measure(clean, clean).psnr_mean == pytest.approx(NO_ERROR)
    images = torch.cat([clean[:2], clean[2:] * 0.8 + 0.1])
    worse = measure(images[2:], clean[2:])
    assert measure(images, clean).psnr_mean == pytest.approx((NO_ERROR + worse.psnr_mean) / 2)
    assert measure(images, clean).psnr_of_mse == pytest.approx(worse.psnr_of_mse + 10 * math.log10(2), abs=0.01)


def test_quality_clips_the_pictures_and_leaves_them_alone() -> None:
    clean = torch.ones(1, 1, 4, 4)
    too_bright = clean + 1
    for quality in (measure(too_bright, clean), measure(clean * -3, clean * 0)):
        assert quality.psnr_mean == quality.psnr_of_mse == pytest.approx(NO_ERROR)
    assert too_bright.eq(2).all()
    assert psnr(too_bright, clean).item() == 0


def test_a_constant_answer_is_one_colour_for_all_pictures() -> None:
    # Two pictures, black and white in the first channel and grey in the second: the mean colour is (0.5, 0.3).
    reference = torch.full((2, 2, 4, 4), 0.3, dtype=torch.float64)
    reference[0, 0], reference[1, 0] = 0, 1
    assert constant_psnr(reference) == pytest.approx(10 * math.log10(1 / 0.125))


def test_no_other_constant_has_a_smaller_error() -> None:
    _, clean = pictures()
    best = constant_psnr(clean)
    for shift in (-0.05, 0.05):
        other = (clean.mean(dim=(0, 2, 3), keepdim=True) + shift).expand_as(clean)
        assert psnr(other, clean).mean().item() < best


@pytest.mark.parametrize("function", [psnr, ssim, measure])
def test_shapes_must_agree(function) -> None:
    with pytest.raises(ShapeError, match=r"pictures of \(2, 3, 8, 8\) cannot be compared with .* \(2, 1, 8, 8\)"):
        function(torch.zeros(2, 3, 8, 8), torch.zeros(2, 1, 8, 8))


@pytest.mark.parametrize("function", [psnr, ssim, measure, lambda _, reference: constant_psnr(reference)])
@pytest.mark.parametrize("shape", [(0, 3, 8, 8), (3, 8, 8), (2, 3, 0, 8)])
def test_there_must_be_a_picture(function, shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match="expected at least one picture"):
        function(torch.zeros(shape), torch.zeros(shape))


@pytest.mark.parametrize("function", [psnr, ssim, measure, lambda _, reference: constant_psnr(reference)])
def test_bytes_are_refused(function) -> None:
    # Differences of bytes would wrap around and give a plausible wrong number.
    with pytest.raises(DataError, match=r"floats from 0 to 1, not torch\.uint8; divide 0\.\.255 by 255"):
        function(torch.zeros(1, 3, 8, 8), torch.zeros(1, 3, 8, 8, dtype=torch.uint8))


# Without clean originals


def drawn_twice(sigma: float, count: int = 100) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return clean pictures far from 0 and 1, and two noisy versions."""
    generator = torch.Generator().manual_seed(1)
    clean = 0.4 + 0.2 * torch.rand(count, 3, 16, 16, generator=generator)
    noisy, again = (clean + sigma * torch.randn(clean.shape, generator=generator) for _ in range(2))
    return clean, noisy, again


@pytest.mark.parametrize("share", [1.0, 0.5, 0.2])
def test_an_estimate_is_close_to_what_the_clean_pictures_say(share: float) -> None:
    sigma = 0.1
    clean, noisy, again = drawn_twice(sigma)
    images = clean + share * (noisy - clean)
    truth, estimated = measure(images, clean), estimate(images, noisy, again)
    # With an error of share * n1, an estimate is off by (1 - 2 share) n1 n2 + (n2^2 - n1^2) / 2 in every value, whose
    # variance is ((1 - 2 share)^2 + 1) sigma^4, at most 2 sigma^4: three standard deviations of the mean over all.
    bound = 3 * math.sqrt(2 / clean.numel()) * sigma**2
    error, expected = (10 ** (-quality.psnr_of_mse / 10) for quality in (estimated, truth))
    assert abs(error - expected) < bound
    assert bound < 0.6 * expected  # so that the test can fail
    assert (estimated.psnr_mean, estimated.ssim) == (None, None)
    assert estimated.headline == estimated.psnr_of_mse
    assert truth.headline == truth.psnr_mean


def test_an_estimate_of_no_error_is_infinite_and_never_less() -> None:
    clean, _, _ = drawn_twice(0.1, count=2)
    assert estimate(clean, clean, clean).psnr_of_mse == math.inf
    assert estimate(clean, clean + 0.1, clean).psnr_of_mse == math.inf


def test_an_estimate_clips_what_was_made_like_a_measurement() -> None:
    _, noisy, again = drawn_twice(0.1, count=2)
    assert estimate(noisy + 5, noisy, again) == estimate(torch.ones_like(noisy), noisy, again)


def test_an_estimate_needs_pictures_of_one_shape() -> None:
    _, noisy, again = drawn_twice(0.1, count=2)
    with pytest.raises(ShapeError, match="cannot be compared"):
        estimate(noisy[:1], noisy, again)
    with pytest.raises(ShapeError, match="cannot be compared"):
        estimate(again, noisy[:1], again)


# The table


def test_each_metric_has_a_name_of_its_own_and_is_measured() -> None:
    noisy, clean = pictures()
    quality = measure(noisy, clean)
    assert list(quality) == [metric.name for metric in METRICS]
    assert len(set(quality)) == len({metric.label for metric in METRICS}) == len(METRICS)
    for metric in METRICS:
        assert quality[metric.name] == metric.measured(noisy.clamp(0, 1), clean)
    assert list(estimate(noisy, noisy, clean)) == list(quality)


def test_how_a_metric_is_written() -> None:
    assert (PSNR_MEAN.label, PSNR_MEAN.heading) == ("PSNR (mean of pictures)", "PSNR in dB (mean of pictures)")
    assert (SSIM.label, SSIM.heading) == ("SSIM", "SSIM")
    assert (PSNR_MEAN.text(20.125), PSNR_MEAN.text(1.0, "+"), SSIM.text(0.5)) == ("20.12 dB", "+1.00 dB", "0.500")
