from __future__ import annotations

from collections.abc import Callable

import pytest

from layerkit import installed
from layerkit.experiments.loading import load_experiment
from layerkit.experiments.plan import Trial, plan
from layerkit.experiments.report.section import Outcome, Section
from layerkit.experiments.results import EpochRecord, TrialResult

DATA = "what the data are"


@pytest.fixture(scope="session")
def data_key() -> str:
    """Return what tells the data set of all results from others."""
    return DATA


@pytest.fixture(scope="session")
def result() -> Callable[..., TrialResult]:
    """Return a function that gives the result of a trial, with values of its own replaced."""

    def result(trial: Trial, psnr: float = 22.5, seconds: tuple[float, ...] = (12.5,), **values) -> TrialResult:
        quality = {"psnr_mean": psnr, "psnr_of_mse": psnr - 1, "ssim": 0.75}
        given = {
            "key": trial.key(DATA),
            "status": "done",
            "architecture": trial.resolved(),
            "clean_targets": trial.clean_targets,
            "seed": trial.seed,
            "epochs": tuple(
                EpochRecord(epoch=epoch, seconds=taken, quality=quality) for epoch, taken in enumerate(seconds, 1)
            ),
            "curve": tuple((1000.0 * point, 0.02 + 1 / (1 + point)) for point in range(1, 151)),
            "pictures": 6,
            "samples": 1234,
            "noisy": {"psnr_mean": 20.5, "psnr_of_mse": 19.5, "ssim": 0.7},
            "denoised": quality,
            "constant": 10.25,
            "examples": ((20.125, 25.5), (27.0, 26.25)),
            "packages": {"layerkit": "0.1.0"},
            "machine": {"processor": "an abacus", "threads": 1, "cores": 2, "system": "Linux", "python": "3.11"},
        }
        return TrialResult(**given | values)

    return result


@pytest.fixture
def section(experiment, result) -> Callable[..., Section]:
    """Return a function that gives a section of an experiment with values of its own replaced.

    ``values_of`` gives those of a trial's result, or None for a trial without one.
    """

    def section(values_of=lambda trial: {}, left_out="", short=False, **changes) -> Section:
        file = load_experiment(experiment(**changes))
        outcomes = [
            Outcome(trial, None if (values := values_of(trial)) is None else result(trial, **values))
            for trial in plan(file, installed())
        ]
        return Section(file.experiment, outcomes, left_out, short)

    return section
