"""What the page's tables hold: our numbers beside the report's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from layerkit.denoising.metrics import METRICS, PSNR_MEAN, SECONDARY, headline
from layerkit.experiments.report.classical import Classical
from layerkit.experiments.report.published import PARAMETERS
from layerkit.experiments.report.section import Outcome, Place, Section, Spread, averaged
from layerkit.experiments.results import TrialResult

NOTHING = "–"  # noqa: RUF001
"""What a cell holds when there is no number."""


@dataclass(frozen=True)
class Table:
    """A table: the names of its columns, and rows of as many cells; the first cell says what the row is about."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def loss_table(section: Section) -> Table:
    """Return the loss at the report's places, on its scale and as a mean squared error."""
    spec, reported = section.experiment.figure, section.experiment.reported
    curve = section.first_done[1].curve if section.first_done else ()
    ours = {point.pictures: point.loss for point in averaged(curve)}
    theirs = dict(zip(map(int, reported.x), reported.loss, strict=False))
    places = sorted({*theirs, *list(ours)[-1:]})
    rows = tuple(
        (
            f"{seen:,}",
            _number(theirs.get(seen), 4),
            _number(ours[seen] * spec.report_factor if seen in ours else None, 4),
            _number(ours.get(seen), 4),
        )
        for seen in places
    )
    return Table(("pictures seen", "report", "layerkit, on the report's scale", "layerkit, mean squared error"), rows)


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
            row += [_at(reported.psnr, index, PSNR_MEAN.decimals), _psnr(place)]
            row += [_spread(place.quality(metric), metric.decimals) for metric in SECONDARY]
            row += [_at(reported.seconds, index, 0), _spread(place.seconds, 1)] if spec.seconds else []
            rows.append(tuple(row))
    return Table(tuple(head), tuple(rows))


def montage_table(section: Section) -> Table:
    """Return the PSNR of the pictures in the montage, beside those of the report's, which are other pictures."""
    examples = section.first_done[1].examples if section.first_done else ()
    theirs = section.experiment.reported.psnr
    rows = tuple(
        (
            str(row + 1),
            _at(theirs, row, 2),
            _number(examples[row][0] if row < len(examples) else None, 2),
            _number(examples[row][1] if row < len(examples) else None, 2),
        )
        for row in range(max(len(theirs), len(examples)))
    )
    return Table(("row", "report, denoised (other pictures)", "layerkit, noisy", "layerkit, denoised"), rows)


def quality_table(section: Section, classical: list[Classical]) -> Table:
    """Return the quality of every trial beside the noisy pictures and classical methods."""
    head = ("", "parameters", *(metric.heading for metric in METRICS), "training, seconds")
    reported = section.experiment.reported.psnr
    rows: list[tuple[str, ...]] = []
    if reported:
        theirs = {PSNR_MEAN.name: reported[0]}
        rows.append(("the report's table1, on the course's data", f"{PARAMETERS:,}", *_quality(theirs), NOTHING))
    if section.first_done:
        _, result = section.first_done
        rows.append(("noisy input", NOTHING, *_quality(result.noisy), NOTHING))
        rows.append(("one constant colour", NOTHING, *_quality({PSNR_MEAN.name: result.constant}), NOTHING))
    rows += [(method.name, NOTHING, *_quality(method.quality), NOTHING) for method in classical]
    several = len({outcome.trial.seed for outcome in section.outcomes}) > 1
    for outcome in section.outcomes:
        name = outcome.trial.label if several or not outcome.trial.variant else outcome.trial.variant
        architecture = outcome.trial.architecture
        parameters = f"{architecture.network.parameter_count(architecture.input.shape):,}"
        if outcome.done:
            rows.append((name, parameters, *_quality(outcome.done.denoised), f"{outcome.done.seconds:.0f}"))
        else:
            rows.append((name, parameters, outcome.status, *[NOTHING] * len(METRICS)))
    return Table(head, tuple(rows))


def gap_table(section: Section) -> Table:
    """Return the PSNR after training on noisy and on clean targets, and the gap between them."""
    pairs: dict[str, dict[str, list[Outcome]]] = {}
    for outcome in section.outcomes:
        name = ", ".join(part for part in (outcome.trial.variant, *map(str, outcome.trial.values.values())) if part)
        pairs.setdefault(name, {"noisy": [], "clean": []})[outcome.trial.targets].append(outcome)
    rows = []
    for name, sides in pairs.items():
        noisy, clean = (Place(0, tuple(sides[side])) for side in ("noisy", "clean"))
        rows.append((name, _input(noisy), _psnr(noisy), _psnr(clean), _gap(sides["noisy"], sides["clean"])))
    head = ("noise", "noisy input, dB", "noisy targets, dB", "clean targets, dB", "gap in dB (clean - noisy)")
    return Table(head, tuple(rows))


def _input(place: Place) -> str:
    return _number(headline(place.done[0].noisy or {}) if place.done else None, PSNR_MEAN.decimals)


def _gap(noisy: list[Outcome], clean: list[Outcome]) -> str:
    """Return the gap between trainings that differ in nothing but the targets; that of each seed is a value."""
    before, after = (
        {outcome.trial.seed: outcome.psnr for outcome in side if outcome.psnr is not None} for side in (noisy, clean)
    )
    return _spread(Spread.of(after[seed] - before[seed] for seed in after if seed in before), PSNR_MEAN.decimals)


def _quality(quality: Mapping[str, float | None] | None) -> tuple[str, ...]:
    """Return a cell for each of the ``METRICS``."""
    return tuple(_number((quality or {}).get(metric.name), metric.decimals) for metric in METRICS)


def _psnr(place: Place) -> str:
    psnr = [place.psnr.text(PSNR_MEAN.decimals)] if place.psnr else []
    return ", ".join((*psnr, *place.statuses)) or NOTHING


def _spread(spread: Spread | None, decimals: int) -> str:
    return spread.text(decimals) if spread else NOTHING


def _number(value: float | None, decimals: int) -> str:
    return NOTHING if value is None else f"{value:.{decimals}f}"


def _at(values: tuple[float, ...], index: int | None, decimals: int) -> str:
    return _number(values[index] if index is not None and index < len(values) else None, decimals)


def machines(results: list[TrialResult]) -> list[str]:
    """Return every machine that results were made on, in a line each."""
    machines = [result.machine for result in results if result.machine]
    return sorted({", ".join(f"{name}: {value}" for name, value in machine.items()) for machine in machines})


def versions(results: list[TrialResult]) -> list[str]:
    """Return every version of every package that results were made with."""
    return sorted({f"{name} {version}" for result in results for name, version in result.packages.items()})
