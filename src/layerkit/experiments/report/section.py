"""An experiment with what became of its trials, ready to be drawn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import fmean

from layerkit.experiments.experiment import Experiment
from layerkit.experiments.plan import Trial
from layerkit.experiments.results import TrialResult
from layerkit.training.progress import Point


@dataclass(frozen=True)
class Outcome:
    """A trial and its result, which is None as long as it has none."""

    trial: Trial
    result: TrialResult | None

    @property
    def psnr(self) -> float | None:
        """In dB; None where the trial has not come to its end."""
        return self.result.psnr if self.result else None

    @property
    def status(self) -> str:
        """What became of it: "done", "diverged", "failed" or "not trained"."""
        return self.result.status if self.result else "not trained"


@dataclass(frozen=True)
class Spread:
    """A value over several seeds."""

    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Of all."""
        return fmean(self.values)

    def text(self, decimals: int) -> str:
        """Return the mean, and where there are several values the least and the greatest."""
        text = f"{self.mean:.{decimals}f}"
        if len(self.values) > 1:
            text += f" ({min(self.values):.{decimals}f} to {max(self.values):.{decimals}f})"
        return text


@dataclass(frozen=True)
class Place:
    """A place along a curve: the outcomes that differ in nothing but the seed."""

    x: float
    outcomes: tuple[Outcome, ...]

    @property
    def psnr(self) -> Spread | None:
        """In dB."""
        return self._spread(lambda outcome: outcome.psnr)

    @property
    def ssim(self) -> Spread | None:
        """Structural similarity."""
        return self._spread(lambda outcome: outcome.result.denoised.ssim if outcome.psnr is not None else None)

    @property
    def seconds(self) -> Spread | None:
        """Of training."""
        return self._spread(lambda outcome: outcome.result.seconds if outcome.psnr is not None else None)

    @property
    def statuses(self) -> tuple[str, ...]:
        """What became of those that are not done."""
        return tuple(sorted({outcome.status for outcome in self.outcomes} - {"done"}))

    def _spread(self, value_of: Callable[[Outcome], float | None]) -> Spread | None:
        values = tuple(value for outcome in self.outcomes if (value := value_of(outcome)) is not None)
        return Spread(values) if values else None


@dataclass(frozen=True)
class Section:
    """A part of the page.

    Attributes:
        experiment: as its file has it, not its quick form.
        outcomes: in the order of the trials.
        left_out: why it was not run at all; empty when it was.
    """

    experiment: Experiment
    outcomes: list[Outcome]
    left_out: str = ""

    @property
    def results(self) -> list[TrialResult]:
        """Of the trials that have one."""
        return [outcome.result for outcome in self.outcomes if outcome.result]

    @property
    def first_done(self) -> Outcome | None:
        """The first trial that came to its end."""
        return next((outcome for outcome in self.outcomes if outcome.status == "done"), None)

    def curves(self) -> dict[str, list[Place]]:
        """Return the places of every line in the order of x; trials that have no number there are left out."""
        lines: dict[str, dict[float, list[Outcome]]] = {}
        for outcome in self.outcomes:
            x = outcome.trial.value_at(self.experiment.figure.x)
            if isinstance(x, int | float) and not isinstance(x, bool):
                lines.setdefault(outcome.trial.series, {}).setdefault(float(x), []).append(outcome)
        return {
            series: [Place(x, tuple(outcomes)) for x, outcomes in sorted(places.items())]
            for series, places in lines.items()
        }


PICTURES_A_MEAN = 10_000
"""Pictures over which the report averages its loss."""


def averaged(curve: tuple[tuple[float, float], ...], pictures: int = PICTURES_A_MEAN) -> list[Point]:
    """Return a loss curve averaged over every ``pictures``, or as it is where it is too short for three means.

    Args:
        curve: (pictures seen, mean loss since the point before).
        pictures: over which is averaged.
    """
    points = [Point(int(seen), loss) for seen, loss in curve]
    if not points or points[-1].pictures < 3 * pictures:
        return points
    means, total, before, last = [], 0.0, 0, 0
    for point in points:
        total += point.loss * (point.pictures - last)
        last = point.pictures
        if last - before >= pictures:
            means.append(Point(last, total / (last - before)))
            total, before = 0.0, last
    return means
