"""What the page's tables hold: our numbers beside the report's."""

from __future__ import annotations

from dataclasses import dataclass

from layerkit.experiments.report.classical import Classical
from layerkit.experiments.report.section import Outcome, Place, Section, Spread, averaged
from layerkit.experiments.results import QualityRecord, TrialResult

NOTHING = "–"  # noqa: RUF001
"""Where there is no number."""


@dataclass(frozen=True)
class Table:
    """A head and rows of as many texts; the first of each is what the row is about."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def loss_table(section: Section) -> Table:
    """Return the loss at the report's places, on its scale and as a mean squared error."""
    spec, reported = section.experiment.figure, section.experiment.reported
    done = section.first_done
    ours = {point.pictures: point.loss for point in averaged(done.result.curve)} if done else {}
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
    head += ["report, PSNR in dB", "layerkit, PSNR in dB", "SSIM"]
    head += ["report, seconds", "layerkit, seconds"] if spec.seconds else []
    rows = []
    for series, places in curves.items():
        for place in places:
            index = theirs.get(round(place.x, 9))
            row = [f"{place.x:g}"]
            row += [f"{place.x * spec.report_factor:g}"] if scaled else []
            row += [series] if named else []
            row += [_at(reported.psnr, index, 2), _psnr(place), _spread(place.ssim, 3)]
            row += [_at(reported.seconds, index, 0), _spread(place.seconds, 1)] if spec.seconds else []
            rows.append(tuple(row))
    return Table(tuple(head), tuple(rows))


def montage_table(section: Section) -> Table:
    """Return the PSNR of the pictures in the montage, beside those of the report's, which are other pictures."""
    done = section.first_done
    examples = done.result.examples if done else ()
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
    head = (
        "",
        "parameters",
        "PSNR in dB (mean of pictures)",
        "PSNR in dB (of mean error)",
        "SSIM",
        "training, seconds",
    )
    reported = section.experiment.reported.psnr
    rows = (
        [("the report's table1, on the course's data", "27,019", _at(reported, 0, 2), *[NOTHING] * 3)]
        if reported
        else []
    )
    done = section.first_done
    if done:
        rows.append(("noisy input", NOTHING, *_quality(done.result.noisy), NOTHING))
        rows.append(("one constant colour", NOTHING, _number(done.result.constant, 2), *[NOTHING] * 3))
    rows += [(method.name, NOTHING, *_quality(method.quality), NOTHING) for method in classical]
    several = len({outcome.trial.seed for outcome in section.outcomes}) > 1
    for outcome in section.outcomes:
        name = outcome.trial.label if several or not outcome.trial.variant else outcome.trial.variant
        architecture = outcome.trial.architecture
        parameters = f"{architecture.network.parameter_count(architecture.input.shape):,}"
        if outcome.psnr is None:
            rows.append((name, parameters, outcome.status, *[NOTHING] * 3))
        else:
            result = outcome.result
            rows.append((name, parameters, *_quality(result.denoised), f"{result.seconds:.0f}"))
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
    done = next((outcome.result for outcome in place.outcomes if outcome.psnr is not None), None)
    return _number(done.noisy.headline if done else None, 2)


def _gap(noisy: list[Outcome], clean: list[Outcome]) -> str:
    """Return the gap between trainings that differ in nothing but the targets; that of each seed is a value."""
    other = {outcome.trial.seed: outcome.psnr for outcome in noisy}
    gaps = tuple(
        outcome.psnr - other[outcome.trial.seed]
        for outcome in clean
        if outcome.psnr is not None and other.get(outcome.trial.seed) is not None
    )
    return Spread(gaps).text(2) if gaps else NOTHING


def _quality(quality: QualityRecord | None) -> tuple[str, str, str]:
    if quality is None:
        return NOTHING, NOTHING, NOTHING
    return _number(quality.psnr_mean, 2), _number(quality.psnr_of_mse, 2), _number(quality.ssim, 3)


def _psnr(place: Place) -> str:
    return ", ".join((*((place.psnr.text(2),) if place.psnr else ()), *place.statuses)) or NOTHING


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
