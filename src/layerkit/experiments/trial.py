"""One trial: a training in a run's folder like every other, and the result that it comes to."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from layerkit.data.dataset import Validation
from layerkit.denoising.evaluation import Evaluation, evaluate, restore
from layerkit.denoising.metrics import psnr
from layerkit.drawing.sheet import montage
from layerkit.errors import DivergedError, LayerkitError, RunError, StoppedError
from layerkit.experiments.plan import Trial
from layerkit.experiments.results import EpochRecord, QualityRecord, TrialResult, surroundings
from layerkit.registry.catalogue import Catalogue
from layerkit.spec.requirements import with_requirements
from layerkit.training.cadence import Cadence
from layerkit.training.loop import EpochDone, StepDone
from layerkit.training.run import Run, Settings
from layerkit.training.session import Session

EXAMPLES = 5
"""Validation pictures in the montage."""


class Display(Protocol):
    """What a training is shown on."""

    def step(self, event: StepDone) -> None: ...

    def epoch(self, event: EpochDone) -> None: ...


Watch = Callable[[Session], AbstractContextManager[Display]]


def open_run(
    folder: Path, trial: Trial, data: str, catalogue: Catalogue, *, anew: bool, settled: Callable[[], bool]
) -> Run | None:
    """Return the run of a trial, locked against other processes, new or where it was interrupted.

    Args:
        folder: of this trial alone.
        trial: what is trained.
        data: the name of the data set.
        catalogue: of the components that may be named.
        anew: whether what an interrupted process has left is thrown away.
        settled: whether the trial has its result, asked once nobody else can be at it; then there is no run to return.

    Raises:
        FolderInUseError: when another process trains it.
        RunError: when it cannot be written.
    """
    architecture = with_requirements(trial.architecture, catalogue)
    settings = Settings(data=data, clean_targets=trial.clean_targets)
    if folder.exists():
        with Run(folder) as run:
            if settled():  # by a process that has just let go of it
                return None
            # Whose result is missing has not come to its end, or came there with a result that does not count any more.
            if anew or run.finished:
                for path in (run.checkpoint, run.metrics, run.architecture):
                    path.unlink(missing_ok=True)
            if run.settings.exists():
                run.write_settings(settings)  # the same data may lie elsewhere on this machine
    return Run.start(folder, architecture, settings)


def train(
    run: Run, trial: Trial, key: str, catalogue: Catalogue, watch: Watch, asked_to_stop: Callable[[], int | None]
) -> TrialResult:
    """Train to the end and return the result; a training that fails has one too.

    Args:
        run: where the trial stands.
        trial: what is trained.
        key: of the trial.
        catalogue: of the components that may be named.
        watch: gives what the training is shown on.
        asked_to_stop: gives the signal that asks for the end, or None.

    Raises:
        StoppedError: when it was asked to stop, and has saved.
        RunError: when something cannot be written.
    """
    about = {
        "key": key,
        "architecture": trial.resolved(),
        "clean_targets": trial.clean_targets,
        "seed": trial.seed,
        **surroundings(with_requirements(trial.architecture, catalogue).requires),
    }
    try:
        session = Session(run, catalogue, Cadence())
        about |= {"data": session.dataset.description, "samples": len(session.dataset.train)}
        evaluation = None
        with watch(session) as display:
            for event in session.events(asked_to_stop):
                if isinstance(event, EpochDone):
                    evaluation = event.evaluation
                    display.epoch(event)
                else:
                    display.step(event)
        return TrialResult(status="done", **about, **_history(session), **_outcome(session, evaluation))
    except (StoppedError, RunError) as error:
        if not isinstance(error, DivergedError):
            raise
        return TrialResult(status="diverged", message=str(error), **about, epochs=_epochs(run))
    except LayerkitError as error:
        return TrialResult(status="failed", message=str(error), **about, epochs=_epochs(run))


def _history(session: Session) -> dict[str, Any]:
    curve = tuple((float(point.pictures), point.loss) for point in session.curve.points if math.isfinite(point.loss))
    return {"epochs": _epochs(session.run), "curve": curve}


def _epochs(run: Run) -> tuple[EpochRecord, ...]:
    """Return the epochs that the run has recorded; those before an interruption are among them."""
    return tuple(
        EpochRecord(epoch=event["epoch"], seconds=event["seconds"], quality=_quality(event.get("denoised")))
        for event in run.events()
        if event.get("event") == "epoch"
    )


def _quality(recorded: dict[str, Any] | None) -> QualityRecord | None:
    if recorded is None:
        return None
    values = {name: recorded.get(name) for name in QualityRecord.model_fields}
    return QualityRecord(**{name: value if _finite(value) else None for name, value in values.items()})


def _finite(value: Any) -> bool:
    return isinstance(value, float) and math.isfinite(value)


def _outcome(session: Session, evaluation: Evaluation | None) -> dict[str, Any]:
    """Return the quality of the validation pictures, and draw some of them; ``evaluation`` if it is known already."""
    validation = session.dataset.validation
    if validation is None:
        return {}
    evaluation = evaluation or evaluate(session.denoiser, *validation)
    return {
        "pictures": evaluation.pictures,
        "noisy": QualityRecord.of(evaluation.noisy),
        "denoised": QualityRecord.of(evaluation.denoised),
        "constant": evaluation.constant if math.isfinite(evaluation.constant) else None,
        "estimated": evaluation.estimated,
        "examples": _examples(session, validation),
    }


def _examples(session: Session, validation: Validation) -> tuple[tuple[float | None, ...], ...]:
    """Draw some pictures, and return the PSNR of each before and after, where the clean ones are known."""
    shown = slice(None, None, max(1, len(validation.noisy) // EXAMPLES))
    noisy = validation.noisy[shown][:EXAMPLES]
    clean = None if validation.clean is None else validation.clean[shown][:EXAMPLES]
    denoised = restore(session.denoiser, noisy)
    if noisy.shape[1] in (1, 3):
        montage(session.run.montage, noisy, denoised, clean, EXAMPLES)
    if clean is None:
        return ()
    ratios = (psnr(pictures.clamp(0, 1), clean).tolist() for pictures in (noisy, denoised))
    return tuple(tuple(value if _finite(value) else None for value in pair) for pair in zip(*ratios, strict=True))
