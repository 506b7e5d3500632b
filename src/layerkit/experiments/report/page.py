"""The page: figures and tables of all experiments in one file that needs nothing else."""

from __future__ import annotations

import base64
import datetime
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from layerkit.data.dataset import Dataset
from layerkit.denoising.metrics import measure
from layerkit.disk import write_atomically
from layerkit.environment import __version__
from layerkit.experiments.report.charts import curve_chart, loss_chart
from layerkit.experiments.report.classical import Classical, classical_quality
from layerkit.experiments.report.published import NOISY_PSNR
from layerkit.experiments.report.section import Outcome, Section
from layerkit.experiments.report.tables import (
    Table,
    curve_table,
    gap_table,
    loss_table,
    machines,
    montage_table,
    quality_table,
    versions,
)
from layerkit.experiments.store import Store

TEMPLATE = "page.html"


@dataclass(frozen=True)
class Drawn:
    """A section of the page.

    Attributes:
        name, title, description: of the experiment.
        picture: a ``data:`` address; empty without a figure.
        table: numbers.
        facts: what was trained, in short sentences.
        lost: trials that did not come to their end, and why.
        left_out: why the experiment was not run; empty when it was.
    """

    name: str
    title: str
    description: str
    picture: str
    table: Table
    facts: list[str]
    lost: list[str]
    left_out: str


def write_page(store: Store, sections: list[Section], dataset: Dataset, data: str, quick: bool) -> None:
    """Write the page, and each figure as a file of its own.

    Args:
        store: where they are written, and montages are found.
        sections: in the order of the page.
        dataset: what was trained on.
        data: tells data sets apart.
        quick: whether these are the short forms.

    Raises:
        RunError: when something cannot be written.
    """
    results = [result for section in sections for result in section.results]
    environment = Environment(
        loader=PackageLoader("layerkit.experiments.report", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    text = environment.get_template(TEMPLATE).render(
        sections=[_drawn(store, section, dataset, data) for section in sections],
        data=dataset.description,
        noisy=_noisy(dataset),
        report_noisy=NOISY_PSNR,
        quick=quick,
        missing=sum(
            outcome.result is None for section in sections for outcome in section.outcomes if not section.left_out
        ),
        machines=machines(results),
        versions=versions(results),
        version=__version__,
        written=datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
    )
    write_atomically(store.page, text.encode())


def _drawn(store: Store, section: Section, dataset: Dataset, data: str) -> Drawn:
    figure, table = _figure(store, section), _table(store, section, dataset, data)
    experiment = section.experiment
    picture = ""
    if figure is not None:
        content, suffix, kind = figure
        write_atomically(store.figures / f"{experiment.name}{suffix}", content)
        picture = f"data:{kind};base64,{base64.b64encode(content).decode()}"
    return Drawn(
        name=experiment.name,
        title=experiment.title,
        description=experiment.description,
        picture=picture,
        table=table,
        facts=_facts(section),
        lost=[_loss_of(outcome) for outcome in section.outcomes if outcome.status != "done"],
        left_out=section.left_out,
    )


def _figure(store: Store, section: Section) -> tuple[bytes, str, str] | None:
    """Return an experiment's figure as bytes, with its file's suffix and its media type; None without one."""
    kind = section.experiment.figure.type
    if kind == "montage":
        path = store.run(section.first_done[1].key) / "montage.png" if section.first_done else Path()
        return (path.read_bytes(), ".png", "image/png") if path.is_file() else None
    draw = {"loss": loss_chart, "curve": curve_chart}.get(kind)
    drawing = draw(section) if draw else None
    return (drawing, ".svg", "image/svg+xml") if drawing else None


def _table(store: Store, section: Section, dataset: Dataset, data: str) -> Table:
    kind = section.experiment.figure.type
    if kind == "table":
        classical: list[Classical] = []
        if section.first_done and dataset.validation is not None:
            trial, _ = section.first_done
            classical = classical_quality(store.folder / "baselines", trial.architecture, data, dataset.validation)
        return quality_table(section, classical)
    return {"loss": loss_table, "curve": curve_table, "montage": montage_table, "gaps": gap_table}[kind](section)


def _facts(section: Section) -> list[str]:
    """Return what was trained, as it really was."""
    seeds = sorted({outcome.trial.seed for outcome in section.outcomes})
    budgets = sorted({_budget(outcome) for outcome in section.outcomes})
    words = [f"{epochs} x {samples:,}" for epochs, samples in budgets]
    facts = [
        f"{len(section.outcomes)} {'training' if len(section.outcomes) == 1 else 'trainings'}",
        f"epochs x pairs: {', '.join(words)}",
        f"{'seed' if len(seeds) == 1 else 'seeds'} {', '.join(map(str, seeds))}"
        + (", one run each" if len(seeds) == 1 else ""),
    ]
    if section.experiment.timed:
        facts.append("timed one after the other")
    return facts


def _budget(outcome: Outcome) -> tuple[int, int]:
    """Return epochs and the pairs in one, of which a file may hold fewer than the spec asks for."""
    training = outcome.trial.architecture.trained
    return training.epochs, (outcome.result and outcome.result.samples) or training.samples


def _loss_of(outcome: Outcome) -> str:
    message = outcome.result.message if outcome.result else ""
    return f"{outcome.trial.label}: {outcome.status}" + (f" ({message})" if message else "")


def _noisy(dataset: Dataset) -> float | None:
    validation = dataset.validation
    if validation is None or validation.clean is None:
        return None
    return measure(validation.noisy, validation.clean).psnr_mean
