"""Judges the conclusions of the report by the numbers that were measured."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from layerkit.experiments.experiment import Claim
from layerkit.experiments.report.comparison import Comparison, Quantity, chance, comparisons
from layerkit.experiments.report.numbers import NOTHING, Writing, loss, number, psnr, seconds, spread
from layerkit.experiments.report.section import Section

HOLDS, FAILS = "holds", "does not hold"
UNEVEN = f"{HOLDS} from end to end, not at every step"
OPEN = "cannot be distinguished from chance"
SHORT = "trained too short to tell"
MISSING = "not measured"
WRITTEN: dict[Quantity, Writing] = {
    "psnr": lambda value: f"{psnr(value)} dB",
    "seconds": lambda value: f"{seconds(value)} s",
    "loss": loss,
}


@dataclass(frozen=True)
class Judged:
    """A claim with its verdict.

    Attributes:
        section: the name of the experiment whose numbers judge it.
        text: the claim.
        theirs: the report's number.
        ours: the measured number.
        verdict: whether the claim holds.
    """

    section: str
    text: str
    theirs: str
    ours: str
    verdict: str


def judged(section: Section) -> list[Judged]:
    """Return the claims of an experiment with their verdicts."""
    return [_judged(section, claim) for claim in section.experiment.claims]


def _judged(section: Section, claim: Claim) -> Judged:
    places = comparisons(section, claim.of)
    theirs, ours, verdict = {
        "reaches": _reaches,
        "below": _below,
        "rises": _changes,
        "falls": _changes,
        "best": _best,
        "overlaps": _overlaps,
    }[claim.kind](section, claim, places)
    if section.short and section.first_done and not (claim.of == "seconds" and claim.kind in ("rises", "falls")):
        # Of short trainings nothing but the relation of their seconds is that of long ones.
        verdict = SHORT
    elif verdict != MISSING and claim.of == "psnr" and claim.kind != "overlaps" and chance(places) is None:
        verdict += ", with one seed"
    return Judged(section.experiment.name, claim.text, theirs, ours, verdict)


Answer = tuple[str, str, str]
"""The report's number, ours, and the verdict."""


def _reaches(section: Section, claim: Claim, places: list[Comparison]) -> Answer:
    place, write = _last(places), WRITTEN[claim.of]
    theirs, ours = number(place.theirs, write), spread(place.ours, write)
    if place.theirs is None or place.ours is None:
        return theirs, ours, MISSING
    difference = place.ours.mean - place.theirs
    verdict = HOLDS if difference >= -(claim.limit or 0) else FAILS
    return theirs, ours, f"{verdict}: {write(abs(difference))} {'more' if difference >= 0 else 'less'}"


def _below(section: Section, claim: Claim, places: list[Comparison]) -> Answer:
    place, write = _last(places), WRITTEN[claim.of]
    theirs, ours = number(place.theirs, write), spread(place.ours, write)
    if place.ours is None:
        return theirs, ours, MISSING
    return theirs, ours, HOLDS if place.ours.mean < (claim.limit or 0) else FAILS


def _changes(section: Section, claim: Claim, places: list[Comparison]) -> Answer:
    both = [place for place in places if place.ours and place.theirs is not None]
    if len(both) < 2:  # each has its own ends, which say nothing about one another
        return _change(_theirs(places), claim.of), _change(_ours(places), claim.of), MISSING
    theirs, ours = _theirs(both), _ours(both)
    direction, noise = 1 if claim.kind == "rises" else -1, chance(places) or 0
    whole = direction * (ours[-1] - ours[0])
    steps = [direction * (after - before) for before, after in pairwise(ours)]
    if abs(whole) <= noise:
        verdict = OPEN
    elif whole < 0:
        verdict = FAILS
    else:
        verdict = HOLDS if min(steps) >= -noise else UNEVEN
    return _change(theirs, claim.of), _change(ours, claim.of), verdict


def _best(section: Section, claim: Claim, places: list[Comparison]) -> Answer:
    theirs = {place.x: place.theirs for place in places if place.theirs is not None}
    ours = {place.x: place.ours.mean for place in places if place.ours}
    their_best = max(theirs, key=lambda x: theirs[x])
    if their_best not in ours:
        return _place(section, their_best), NOTHING, MISSING
    our_best = max(ours, key=lambda x: ours[x])
    as_good = [x for x in ours if ours[x] >= ours[our_best] - (chance(places) or 0)]
    verdict = FAILS if their_best not in as_good else HOLDS if len(as_good) == 1 else OPEN
    others = "".join(f", or {_place(section, x)}" for x in as_good if x != our_best)
    return _place(section, their_best), _place(section, our_best) + others, verdict


def _overlaps(section: Section, claim: Claim, places: list[Comparison]) -> Answer:
    theirs, ours = sorted(_theirs(places)), sorted(_ours(places))
    verdict = MISSING
    if ours:
        verdict = HOLDS if theirs[0] <= ours[-1] and ours[0] <= theirs[-1] else FAILS
    return _change(theirs, claim.of), _change(ours, claim.of), verdict


def _theirs(places: list[Comparison]) -> list[float]:
    return [place.theirs for place in places if place.theirs is not None]


def _ours(places: list[Comparison]) -> list[float]:
    return [place.ours.mean for place in places if place.ours]


def _last(places: list[Comparison]) -> Comparison:
    """Return the last place where both numbers are known, or else the last of all."""
    both = [place for place in places if place.ours and place.theirs is not None]
    return [Comparison(0, None, None), *places, *both][-1]


def _place(section: Section, x: float) -> str:
    """Return a place on the report's scale, and on ours where that is another one."""
    factor = section.experiment.figure.report_factor
    return f"{x:g}" + (f" (here {x / factor:g})" if factor != 1 else "")


def _change(values: list[float], of: Quantity) -> str:
    """Return the first and the last of several values."""
    if len(values) < 2:
        return number(values[0] if values else None, WRITTEN[of])
    first, last = values[0], values[-1]
    times = f", {last / first:.1f} times" if of == "seconds" and first else ""
    return f"{WRITTEN[of](first)} to {WRITTEN[of](last)}{times}"
