"""The tables of the page, which compare our numbers with the report's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from layerkit.denoising.metrics import METRICS, SECONDARY, headline
from layerkit.experiments.report.classical import Classical
from layerkit.experiments.report.comparison import comparisons
from layerkit.experiments.report.numbers import NOTHING, fixed, loss, number, psnr, seconds, spread
from layerkit.experiments.report.published import PARAMETERS
from layerkit.experiments.report.section import Outcome, Place, Section, Spread
from layerkit.experiments.results import TrialResult

UNEVEN = "*"
"""Marks the seconds of a training whose epochs took very different times."""


@dataclass(frozen=True)
class Table:
    """A table: the names of its columns, and rows with one cell for each; the first cell is the heading of the row.

    Attributes:
        texts: the indices of the columns that hold words; every other column holds numbers.
    """

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    texts: frozenset[int] = frozenset({0})

    def without_empty_columns(self) -> Table:
        """Return the table without the columns that have nothing to show in any row."""
        kept = [
            column
            for column in range(len(self.head))
            if column == 0 or any(row[column] not in (NOTHING, "") for row in self.rows)
        ]
        return Table(
            tuple(self.head[column] for column in kept),
            tuple(tuple(row[column] for column in kept) for row in self.rows),
            frozenset(place for place, column in enumerate(kept) if column in self.texts),
        )


def loss_table(section: Section) -> Table:
    """Return the loss at the report's places and at the end of the training, on the report's scale and on ours.

    Places that the training has not reached are left out.
    """
    places = comparisons(section, "loss")
    reached = max((place.x for place in places if place.ours), default=0.0)
    rows = []
    for place in places:
        if place.x > reached or (place.theirs is None and place.x < reached):
            continue
        mean = place.ours.mean if place.ours else None
        ours = None if mean is None else mean / section.experiment.figure.report_factor
        rows.append((f"{place.x:,.0f}", number(place.theirs, loss), number(mean, loss), number(ours, loss)))
    head = ("pictures seen", "report", "layerkit, on the report's scale", "layerkit, mean squared error")
    return Table(head, tuple(rows))


def curve_table(section: Section) -> Table:
    """Return a row for each place of each line, with the report's number where it has one."""
    spec, reported = section.experiment.figure, section.experiment.reported
    curves = section.curves()
    theirs = {round(x / spec.report_factor, 9): index for index, x in enumerate(reported.x)}
    named, scaled = len(curves) > 1, spec.report_factor != 1
    head = [spec.x_label or spec.x or ""]
    head += ["report's scale"] if scaled else []
    head += ["line"] if named else []
    head += ["report, PSNR in dB", "layerkit, PSNR in dB", *(metric.heading for metric in SECONDARY)]
    head += ["report, seconds", "layerkit, seconds"] if spec.seconds else []
    rows = []
    for series, places in curves.items():
        for place in places:
            index = theirs.get(round(place.x, 9))
            row = [f"{place.x:g}"]
            row += [f"{place.x * spec.report_factor:g}"] if scaled else []
            row += [series] if named else []
            row += [_at(reported.psnr, index, 2), _psnr(place)]
            row += [spread(place.quality(metric), fixed(metric.decimals)) for metric in SECONDARY]
            row += [_at(reported.seconds, index, 0), _seconds(place)] if spec.seconds else []
            rows.append(tuple(row))
    return Table(tuple(head), tuple(rows), frozenset({0, head.index("line")} if named else {0}))


def quality_table(section: Section, classical: list[Classical]) -> Table:
    """Return the quality of every trial, of the noisy pictures and of classical methods."""
    head = ("", "parameters", *(metric.heading for metric in METRICS), "training, seconds")
    reported = section.experiment.reported.psnr
    rows: list[tuple[str, ...]] = []
    if reported:
        theirs = {METRICS[0].name: reported[0]}
        rows.append(("the report's table1, on the course's data", f"{PARAMETERS:,}", *_quality(theirs), NOTHING))
    if section.first_done:
        _, result = section.first_done
        rows.append(("noisy input", NOTHING, *_quality(result.noisy), NOTHING))
        rows.append(("one constant colour", NOTHING, *_quality({METRICS[0].name: result.constant}), NOTHING))
    rows += [(method.name, NOTHING, *_quality(method.quality), NOTHING) for method in classical]
    several = len({outcome.trial.seed for outcome in section.outcomes}) > 1
    for outcome in section.outcomes:
        name = outcome.trial.label if several or not outcome.trial.variant else outcome.trial.variant
        architecture = outcome.trial.architecture
        parameters = f"{architecture.network.parameter_count(architecture.input.shape):,}"
        if outcome.done:
            rows.append((name, parameters, *_quality(outcome.done.denoised), _seconds(Place(0, (outcome,)))))
        else:
            rows.append((name, parameters, outcome.status, *[NOTHING] * len(METRICS)))
    return Table(head, tuple(rows))


def gap_table(section: Section) -> Table:
    """Return the PSNR after training on noisy and on clean targets, and the gap between them."""
    rows = [
        (name, _input(noisy), _psnr(noisy), _psnr(clean), spread(gap(noisy, clean), psnr))
        for name, noisy, clean in gap_places(section)
    ]
    head = ("noise", "noisy input, dB", "noisy targets, dB", "clean targets, dB", "gap in dB (clean - noisy)")
    return Table(head, tuple(rows))


def gap_places(section: Section) -> list[tuple[str, Place, Place]]:
    """Return, for each variant, its name, the trainings on noisy targets, and those on clean targets."""
    pairs: dict[str, dict[str, list[Outcome]]] = {}
    for outcome in section.outcomes:
        name = ", ".join(part for part in (outcome.trial.variant, *map(str, outcome.trial.values.values())) if part)
        pairs.setdefault(name, {"noisy": [], "clean": []})[outcome.trial.targets].append(outcome)
    return [(name, Place(0, tuple(sides["noisy"])), Place(0, tuple(sides["clean"]))) for name, sides in pairs.items()]


def gap(noisy: Place, clean: Place) -> Spread | None:
    """Return the gap in dB between trainings that differ only in their targets, one value for each seed."""
    before, after = (
        {outcome.trial.seed: outcome.psnr for outcome in side.outcomes if outcome.psnr is not None}
        for side in (noisy, clean)
    )
    return Spread.of(after[seed] - before[seed] for seed in after if seed in before)


def _input(place: Place) -> str:
    return number(headline(place.done[0].noisy or {}) if place.done else None, psnr)


def _quality(quality: Mapping[str, float | None] | None) -> tuple[str, ...]:
    """Return a cell for each of the ``METRICS``."""
    return tuple(number((quality or {}).get(metric.name), fixed(metric.decimals)) for metric in METRICS)


def _psnr(place: Place) -> str:
    measured = [spread(place.psnr, psnr)] if place.psnr else []
    return ", ".join((*measured, *place.statuses)) or NOTHING


def _seconds(place: Place) -> str:
    return spread(place.seconds, seconds) + (f" {UNEVEN}" if place.uneven else "")


def _at(values: tuple[float, ...], index: int | None, decimals: int) -> str:
    return number(values[index] if index is not None and index < len(values) else None, fixed(decimals))


def machines(results: list[TrialResult]) -> list[str]:
    """Return every machine that results were made on, in a line each."""
    machines = [result.machine for result in results if result.machine]
    return sorted({", ".join(f"{name}: {value}" for name, value in machine.items()) for machine in machines})


def versions(results: list[TrialResult]) -> list[str]:
    """Return every version of every package that results were made with."""
    return sorted({f"{name} {version}" for result in results for name, version in result.packages.items()})
