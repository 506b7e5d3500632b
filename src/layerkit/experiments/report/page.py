"""The page: figures and tables of all experiments in one file that needs nothing else."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import dataclass

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from layerkit.data.dataset import Dataset
from layerkit.denoising.metrics import measure
from layerkit.disk import write_atomically
from layerkit.environment import __version__
from layerkit.experiments.examples import TILES
from layerkit.experiments.report.charts import curve_chart, loss_chart
from layerkit.experiments.report.claims import judged
from layerkit.experiments.report.classical import Classical, classical_quality
from layerkit.experiments.report.findings import findings
from layerkit.experiments.report.inline import inline
from layerkit.experiments.report.layers import layers_table
from layerkit.experiments.report.pictures import Picture, pictures
from layerkit.experiments.report.published import NOISY_PSNR
from layerkit.experiments.report.section import Outcome, Section
from layerkit.experiments.report.tables import (
    Table,
    curve_table,
    gap_table,
    loss_table,
    machines,
    quality_table,
    versions,
)
from layerkit.experiments.store import MONTAGE, Store

TEMPLATE = "page.html"
CHARTS: dict[str, Callable[[Section], bytes | None]] = {"loss": loss_chart, "curve": curve_chart}
TABLES: dict[str, Callable[[Section], Table]] = {
    "layers": layers_table,
    "loss": loss_table,
    "curve": curve_table,
    "gaps": gap_table,
}
"""The function that draws each type of figure; pictures and the quality of networks need more than their section."""


@dataclass(frozen=True)
class Drawn:
    """A section of the page.

    Attributes:
        name, title, description: those of the experiment.
        figure: an element of the page; empty if there is no figure.
        pictures: the rows of pictures.
        table: the numbers; None if there are none.
        findings: sentences about the numbers.
        facts: what was trained, in short sentences.
        lost: the trials that did not finish, and why.
        left_out: why the experiment was not run; empty if it was.
    """

    name: str
    title: str
    description: str
    figure: Markup
    pictures: list[list[Picture]]
    table: Table | None
    findings: list[str]
    facts: list[str]
    lost: list[str]
    left_out: str


def write_page(store: Store, sections: list[Section], dataset: Dataset, data: str, quick: bool) -> None:
    """Write the page, and each figure as a separate file.

    Args:
        store: the folder for the page and the figures, which also has the pictures.
        sections: the sections in the order of the page.
        dataset: the data set of the trainings.
        data: the fingerprint of the data set.
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
        claims=[claim for section in sections for claim in judged(section)],
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
    experiment, kind = section.experiment, section.experiment.figure.type
    figure, shown, table = Markup(), [], None
    classical: list[Classical] = []
    if kind == "table":
        classical = _classical(store, section, dataset, data)
        table = quality_table(section, classical)
    elif kind == "montage":
        shown = _pictures(store, section)
    else:
        table = TABLES[kind](section)
    if kind in CHARTS and (chart := CHARTS[kind](section)):
        write_atomically(store.figures / f"{experiment.name}.svg", chart)
        figure = inline(chart, experiment.name, f"{experiment.title}; the table below has its numbers")
    return Drawn(
        name=experiment.name,
        title=experiment.title,
        description=experiment.description,
        figure=figure,
        pictures=shown,
        table=table.without_empty_columns() if table and table.rows else None,
        findings=[] if section.left_out else findings(section, classical),
        facts=_facts(section),
        lost=[_loss_of(outcome) for outcome in section.outcomes if outcome.status != "done"],
        left_out=section.left_out,
    )


def _classical(store: Store, section: Section, dataset: Dataset, data: str) -> list[Classical]:
    if not section.first_done or dataset.validation is None:
        return []
    trial, _ = section.first_done
    return classical_quality(store.folder / "baselines", trial.architecture, data, dataset.validation)


def _pictures(store: Store, section: Section) -> list[list[Picture]]:
    if not section.first_done:
        return []
    _, result = section.first_done
    folder = store.pictures(result.key)
    montage = folder / MONTAGE
    if montage.is_file():
        write_atomically(store.figures / f"{section.experiment.name}.png", montage.read_bytes())
    return pictures(folder / TILES, result)


def _facts(section: Section) -> list[str]:
    """Return sentences about the trainings, from their results."""
    seeds = sorted({outcome.trial.seed for outcome in section.outcomes})
    budgets = sorted({_budget(outcome) for outcome in section.outcomes})
    words = [f"{epochs} x {samples:,}" for epochs, samples in budgets]
    facts = [
        f"{len(section.outcomes)} {'training' if len(section.outcomes) == 1 else 'trainings'}",
        f"epochs x pairs: {', '.join(words)}",
        f"{'seed' if len(seeds) == 1 else 'seeds'} {', '.join(map(str, seeds))}"
        + (", one run each" if len(seeds) == 1 else ""),
    ]
    timed = sorted({outcome.trial.seed for outcome in section.outcomes if outcome.trial.timed})
    if timed:
        facts.append(f"seed {timed[0]} timed, one training after the other")
    return facts


def _budget(outcome: Outcome) -> tuple[int, int]:
    """Return the epochs and the pairs in one epoch; a data file may have fewer pairs than the spec asks for."""
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
