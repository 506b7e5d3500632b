"""An experiment with the outcomes of its trials, ready to be drawn."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import fmean

from layerkit.denoising.metrics import Metric
from layerkit.experiments.experiment import Experiment
from layerkit.experiments.plan import Trial
from layerkit.experiments.report.published import PICTURES_A_MEAN
from layerkit.experiments.results import TrialResult
from layerkit.training.progress import Point


@dataclass(frozen=True)
class Outcome:
    """A trial and its result, None if there is none yet."""

    trial: Trial
    result: TrialResult | None

    @property
    def done(self) -> TrialResult | None:
        """The result of a trial that finished; None for every other trial."""
        return self.result if self.status == "done" else None

    @property
    def psnr(self) -> float | None:
        """The PSNR after denoising, in dB; None if the trial did not finish, or nothing was measured."""
        return self.result.psnr if self.result else None

    @property
    def status(self) -> str:
        """The status of the trial: "done", "diverged", "failed" or "not trained"."""
        return self.result.status if self.result else "not trained"


@dataclass(frozen=True)
class Spread:
    """A value over several seeds, at least one."""

    values: tuple[float, ...]

    @classmethod
    def of(cls, values: Iterable[float | None]) -> Spread | None:
        """Return the spread of the values that are known; None if none is."""
        known = tuple(value for value in values if value is not None)
        return cls(known) if known else None

    @property
    def mean(self) -> float:
        """The mean of the values."""
        return fmean(self.values)

    @property
    def width(self) -> float | None:
        """The difference between the greatest and the least value; None for a single value."""
        return max(self.values) - min(self.values) if len(self.values) > 1 else None


@dataclass(frozen=True)
class Place:
    """A place along a curve: the outcomes that differ only in their seeds."""

    x: float
    outcomes: tuple[Outcome, ...]

    @property
    def done(self) -> list[TrialResult]:
        """The results of the trials that finished."""
        return [outcome.done for outcome in self.outcomes if outcome.done]

    @property
    def psnr(self) -> Spread | None:
        """The PSNR after denoising, in dB."""
        return Spread.of(result.psnr for result in self.done)

    @property
    def timed(self) -> list[TrialResult]:
        """The results whose seconds count: if trials are timed, those that had the machine for themselves."""
        alone = any(outcome.trial.timed for outcome in self.outcomes)
        return [outcome.done for outcome in self.outcomes if outcome.done and outcome.trial.timed >= alone]

    @property
    def seconds(self) -> Spread | None:
        """The seconds of training, as if every epoch were as fast as the fastest."""
        return Spread.of(result.steady_seconds for result in self.timed)

    @property
    def uneven(self) -> bool:
        """Whether other programs must have slowed down a training whose seconds count."""
        return any(result.uneven for result in self.timed)

    @property
    def statuses(self) -> tuple[str, ...]:
        """The statuses of the trials that are not done."""
        return tuple(sorted({outcome.status for outcome in self.outcomes} - {"done"}))

    def quality(self, metric: Metric) -> Spread | None:
        """Return the values of a metric after denoising."""
        return Spread.of((result.denoised or {}).get(metric.name) for result in self.done)


@dataclass(frozen=True)
class Section:
    """A part of the page.

    Attributes:
        experiment: the experiment as in its file, not its quick form.
        outcomes: the outcomes in the order of the trials.
        left_out: why it was not run; empty if it was.
        short: whether these are the trials of the quick form.
    """

    experiment: Experiment
    outcomes: list[Outcome]
    left_out: str = ""
    short: bool = False

    @property
    def results(self) -> list[TrialResult]:
        """The results of the trials that have one."""
        return [outcome.result for outcome in self.outcomes if outcome.result]

    @property
    def first_done(self) -> tuple[Trial, TrialResult] | None:
        """The first trial that finished, with its result."""
        return next(((outcome.trial, outcome.done) for outcome in self.outcomes if outcome.done), None)

    def curves(self) -> dict[str, list[Place]]:
        """Return the places of every line in the order of x; trials that have no number there are left out."""
        path = self.experiment.figure.x
        if path is None:
            return {}
        lines: dict[str, dict[float, list[Outcome]]] = {}
        for outcome in self.outcomes:
            x = outcome.trial.value_at(path)
            if isinstance(x, int | float) and not isinstance(x, bool):
                lines.setdefault(outcome.trial.series, {}).setdefault(float(x), []).append(outcome)
        return {
            series: [Place(x, tuple(outcomes)) for x, outcomes in sorted(places.items())]
            for series, places in lines.items()
        }


def averaged(curve: tuple[tuple[float, float], ...], pictures: int = PICTURES_A_MEAN) -> list[Point]:
    """Return a loss curve averaged over every ``pictures``, or unchanged if it is too short for three means.

    Args:
        curve: (pictures seen, mean loss since the point before).
        pictures: the number of pictures in each mean.
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
