"""Tables that several commands print."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table

from layerkit.data.dataset import Validation
from layerkit.denoising.baselines import BaselineResult, measure_baselines
from layerkit.denoising.evaluation import Evaluation
from layerkit.denoising.metrics import Quality


def classical_results(validation: Validation, console: Console) -> list[BaselineResult]:
    """Return what classical methods reach, and say on a terminal that it takes a while."""
    with console.status("measuring classical methods"):
        return measure_baselines(validation)


def quality_table(evaluation: Evaluation, what: str, baselines: Sequence[BaselineResult] = ()) -> Table:
    """Return noisy and denoised pictures' quality side by side, with classical methods and with what was gained.

    What could not be measured is left out, and an estimate says that it is one.
    """
    if evaluation.estimated:
        return _estimated(evaluation, what)
    caption = "classical methods: with the parameters that are best on these pictures" if baselines else None
    table = Table(title=f"{evaluation.pictures:,} {what}", caption=caption, box=box.SIMPLE_HEAD)
    table.add_column("")
    table.add_column("PSNR (mean of pictures)", justify="right")
    table.add_column("PSNR (of mean error)", justify="right")
    table.add_column("SSIM", justify="right")
    rows = [("noisy", evaluation.noisy)]
    rows += [(result.name, result.quality) for result in baselines]
    rows.append(("denoised", evaluation.denoised))
    for name, quality in rows:
        table.add_row(name, f"{quality.psnr_mean:.2f} dB", f"{quality.psnr_of_mse:.2f} dB", _ssim(quality))
    table.add_row(
        "gain",
        f"{evaluation.gain:+.2f} dB",
        f"{evaluation.denoised.psnr_of_mse - evaluation.noisy.psnr_of_mse:+.2f} dB",
        "" if evaluation.noisy.ssim is None else f"{evaluation.denoised.ssim - evaluation.noisy.ssim:+.3f}",
        style="bold",
    )
    return table


def _estimated(evaluation: Evaluation, what: str) -> Table:
    table = Table(title=f"{evaluation.pictures:,} {what}", box=box.SIMPLE_HEAD)
    table.add_column("")
    table.add_column("PSNR (of mean error), estimated from noisy pairs", justify="right")
    for name, quality in (("noisy", evaluation.noisy), ("denoised", evaluation.denoised)):
        table.add_row(name, f"about {quality.psnr_of_mse:.2f} dB")
    table.add_row("gain", f"about {evaluation.gain:+.2f} dB", style="bold")
    return table


def _ssim(quality: Quality) -> str:
    return "" if quality.ssim is None else f"{quality.ssim:.3f}"
