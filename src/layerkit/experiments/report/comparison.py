"""Pairs the report's numbers with ours at the same places, for every type of figure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from layerkit.experiments.report.section import Outcome, Place, Section, Spread, averaged

Quantity = Literal["psnr", "seconds", "loss"]


@dataclass(frozen=True)
class Comparison:
    """A place of a figure with both numbers, each None where it is not known.

    Attributes:
        x: the place, on the report's scale.
        theirs: the report's number.
        ours: the measured numbers of all seeds.
    """

    x: float
    theirs: float | None
    ours: Spread | None


def comparisons(section: Section, of: Quantity) -> list[Comparison]:
    """Return the places of an experiment's figure in the order of x; the report's line is the first of several.

    The places of a curve are the values on its axis, those of a training loss are numbers of pictures seen, and those
    of examples are their indices. Every other figure has one place, the first trial with all its seeds.
    """
    figure, reported = section.experiment.figure, section.experiment.reported
    values = {"psnr": reported.psnr, "seconds": reported.seconds, "loss": reported.loss}[of]
    if figure.type == "loss":
        curve = section.first_done[1].curve if section.first_done else ()
        ours = {float(point.pictures): Spread((point.loss * figure.report_factor,)) for point in averaged(curve)}
        theirs = dict(zip(reported.x, values, strict=False))
    elif figure.type == "curve":
        lines = list(section.curves().values())
        places = lines[0] if lines else []
        ours = {_key(place.x * figure.report_factor): spread for place in places if (spread := _measured(place, of))}
        theirs = dict(zip(map(_key, reported.x), values, strict=False))
    elif figure.type == "montage":
        examples = section.first_done[1].examples if section.first_done else ()
        ours = {float(number): Spread((after,)) for number, (_, after) in enumerate(examples) if after is not None}
        theirs = {float(number): value for number, value in enumerate(values)}
    else:
        first = _measured(Place(0, tuple(_first_trial(section.outcomes))), of)
        ours, theirs = ({0.0: first} if first else {}), ({0.0: values[0]} if values else {})
    return [Comparison(x, theirs.get(x), ours.get(x)) for x in sorted({*ours, *theirs})]


def chance(places: list[Comparison]) -> float | None:
    """Return the largest difference between the seeds of one place; None if each place has one seed."""
    return max((spread.width for place in places if (spread := place.ours) and spread.width is not None), default=None)


def _measured(place: Place, of: Quantity) -> Spread | None:
    return place.seconds if of == "seconds" else place.psnr


def _first_trial(outcomes: list[Outcome]) -> list[Outcome]:
    """Return the outcomes that differ from the first one only in the seed."""
    first = outcomes[0].trial if outcomes else None
    return [
        outcome
        for outcome in outcomes
        if first and (outcome.trial.variant, outcome.trial.values) == (first.variant, first.values)
    ]


def _key(x: float) -> float:
    """Return x rounded, because the conversion between two scales changes its last digits."""
    return round(x, 9)
