"""Tables that several commands print."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from layerkit.cli.grid import Column, Grid
from layerkit.data.dataset import Validation
from layerkit.denoising.baselines import BASELINES, Baseline
from layerkit.denoising.evaluation import Evaluation
from layerkit.denoising.metrics import METRICS, Metric, Quality
from layerkit.denoising.tuning import BaselineResult, measure_baselines


def classical_results(
    validation: Validation, console: Console, baselines: Sequence[Baseline] = BASELINES
) -> list[BaselineResult]:
    """Return the results of classical methods; a terminal shows which of them is being measured."""
    results = []
    with console.status("") as status:
        for baseline in baselines:
            status.update(f"measuring classical methods: {baseline.name}")
            results += measure_baselines(validation, [baseline])
    return results


def quality_table(evaluation: Evaluation, what: str, baselines: Sequence[BaselineResult] = ()) -> Grid:
    """Return a table of the quality of noisy and denoised pictures, with classical methods and the improvement.

    Values that could not be measured are left out, and estimates are marked as such.
    """
    caption = "classical methods: with the parameters that are best on these pictures" if baselines else ""
    if baselines and evaluation.estimated:
        caption += ", by the same estimate"
    metrics = [metric for metric in METRICS if metric.estimated or not evaluation.estimated]
    note, about = (", estimated from noisy pairs", "about ") if evaluation.estimated else ("", "")
    columns = [
        Column(""),
        *(Column(metric.label + note, right=True) for metric in metrics),
        Column("time each", right=True),
    ]
    table = Grid(columns, f"{evaluation.pictures:,} {what}", caption)

    def cell(metric: Metric, value: float | None, sign: str = "") -> str:
        return "" if value is None else about + metric.text(value, sign)

    def add(name: str, quality: Quality, time: str) -> None:
        table.add(name, *(cell(metric, quality.get(metric.name)) for metric in metrics), time)

    add("noisy", evaluation.noisy, "")
    for result in baselines:
        add(result.name, result.quality, _duration(result.seconds))
    add("denoised", evaluation.denoised, _duration(evaluation.seconds))
    table.add("gain", *(cell(metric, evaluation.gain_in(metric), "+") for metric in metrics), "", style="bold")
    return table


def _duration(seconds: float) -> str:
    number, unit = (seconds, "s") if seconds >= 1 else (1000 * seconds, "ms")
    return f"{number:.{1 if number < 10 else 0}f} {unit}"
