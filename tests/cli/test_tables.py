from __future__ import annotations

import pytest
from rich.console import Console

from layerkit.cli.tables import quality_table
from layerkit.denoising.evaluation import Evaluation
from layerkit.denoising.metrics import METRICS, Quality
from layerkit.denoising.tuning import BaselineResult


def printed(*arguments) -> list[list[str]]:
    """Return the cells of a quality table, as it is printed, without its title and lines."""
    console = Console(width=200)
    with console.capture() as capture:
        console.print(quality_table(*arguments))
    lines = [[cell for cell in line.split("  ") if cell.strip()] for line in capture.get().splitlines()]
    return [[cell.strip() for cell in cells] for cells in lines if len(cells) > 1]


def quality(psnr: float, ssim: float | None = 0.75) -> Quality:
    return Quality(psnr_mean=psnr, psnr_of_mse=psnr - 1.5, ssim=ssim)


def test_every_metric_has_a_column_with_its_unit_and_its_gain():
    blur = BaselineResult("blur", {}, quality(23.0, 0.625), 0.0025)
    cells = printed(Evaluation(6, quality(20.0, 0.5), quality(24.5), 10.0, seconds=61.25), "pictures", [blur])
    assert cells == [
        [*(metric.label for metric in METRICS), "time each"],
        ["noisy", "20.00 dB", "18.50 dB", "0.500"],
        ["blur", "23.00 dB", "21.50 dB", "0.625", "2.5 ms"],
        ["denoised", "24.50 dB", "23.00 dB", "0.750", "61 s"],
        ["gain", "+4.50 dB", "+4.50 dB", "+0.250"],
    ]


def test_what_is_not_defined_is_left_out():
    cells = printed(Evaluation(6, quality(20.0, None), quality(24.5, None), 10.0, seconds=0.9), "pictures")
    assert cells[1:] == [
        ["noisy", "20.00 dB", "18.50 dB"],
        ["denoised", "24.50 dB", "23.00 dB", "900 ms"],
        ["gain", "+4.50 dB", "+4.50 dB"],
    ]


@pytest.mark.parametrize("after", [24.5, 20.0])
def test_an_estimate_says_that_it_is_one(after):
    noisy, denoised = (Quality(psnr_mean=None, psnr_of_mse=psnr, ssim=None) for psnr in (20.25, after))
    assert printed(Evaluation(6, noisy, denoised, 10.0, estimated=True, seconds=1), "pictures") == [
        ["PSNR (of mean error), estimated from noisy pairs", "time each"],
        ["noisy", "about 20.25 dB"],
        ["denoised", f"about {after:.2f} dB", "1.0 s"],
        ["gain", f"about {after - 20.25:+.2f} dB"],
    ]
