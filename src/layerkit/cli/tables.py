"""Tables that several commands print."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from layerkit.cli.grid import Column, Grid
from layerkit.data.dataset import Validation
from layerkit.denoising.baselines import BaselineResult, measure_baselines
from layerkit.denoising.evaluation import Evaluation
from layerkit.denoising.metrics import METRICS, Metric


def classical_results(validation: Validation, console: Console) -> list[BaselineResult]:
    """Return the results of classical methods; a terminal shows that they are being measured."""
    with console.status("measuring classical methods"):
        return measure_baselines(validation)


def quality_table(evaluation: Evaluation, what: str, baselines: Sequence[BaselineResult] = ()) -> Grid:
    """Return a table of the quality of noisy and denoised pictures, with classical methods and the improvement.

    Values that could not be measured are left out, and estimates are marked as such.
    """
    caption = "classical methods: with the parameters that are best on these pictures" if baselines else ""
    metrics = [metric for metric in METRICS if metric.estimated or not evaluation.estimated]
    note, about = (", estimated from noisy pairs", "about ") if evaluation.estimated else ("", "")
    columns = [Column(""), *(Column(metric.label + note, right=True) for metric in metrics)]
    table = Grid(columns, f"{evaluation.pictures:,} {what}", caption)

    def cell(metric: Metric, value: float | None, sign: str = "") -> str:
        return "" if value is None else about + metric.text(value, sign)

    qualities = {result.name: result.quality for result in baselines}
    for name, quality in {"noisy": evaluation.noisy, **qualities, "denoised": evaluation.denoised}.items():
        table.add(name, *(cell(metric, quality.get(metric.name)) for metric in metrics))
    table.add("gain", *(cell(metric, evaluation.gain_in(metric), "+") for metric in metrics), style="bold")
    return table
