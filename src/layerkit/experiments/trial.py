"""One trial: an ordinary training in a run's folder, and its result."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import torch

from layerkit.denoising.evaluation import Evaluation, evaluate
from layerkit.drawing.montage import montage
from layerkit.errors import DivergedError, LayerkitError, RunError, StoppedError
from layerkit.experiments.examples import TILES, ratios, varied_examples, write_tiles
from layerkit.experiments.machine import surroundings
from layerkit.experiments.plan import Trial
from layerkit.experiments.results import EpochRecord, TrialResult, finite, recorded
from layerkit.registry.catalogue import Catalogue
from layerkit.spec.requirements import with_requirements
from layerkit.training.display import Display, train_shown
from layerkit.training.run import Run, Settings
from layerkit.training.session import Session

Watch = Callable[[Session], AbstractContextManager[Display]]
"""Returns the display for a training."""


def open_run(
    folder: Path,
    trial: Trial,
    data: str,
    catalogue: Catalogue,
    *,
    anew: bool,
    earlier: Callable[[], TrialResult | None],
) -> Run | None:
    """Return the run of a trial, locked against other processes: a new one, or the existing one, finished or not.

    Args:
        folder: the folder of this trial.
        trial: the trial.
        data: the name of the data set.
        catalogue: the components that may be named.
        anew: whether an existing run is deleted.
        earlier: returns the existing result of the trial, or None. It is called while the folder is locked; if the
            trial need not be tried again, None is returned.

    Raises:
        FolderInUseError: when another process trains it.
        RunError: when it cannot be written.
    """
    architecture = with_requirements(trial.architecture, catalogue)
    settings = Settings(data=data, clean_targets=trial.clean_targets)
    if folder.exists():
        with Run.lock(folder) as run:
            result = earlier()
            if result is not None and result.settled:  # by a process that has just released it
                return None
            # A new attempt does not continue with the files of the failed one.
            if anew or (run.finished and result is not None):
                for path in (run.checkpoint, run.metrics, run.architecture):
                    path.unlink(missing_ok=True)
            if run.settings.exists():
                run.write_settings(settings)  # the same data may have another path on this machine
    return Run.start(folder, architecture, settings, finished=True)


def train(
    run: Run,
    trial: Trial,
    key: str,
    catalogue: Catalogue,
    watch: Watch,
    says: Callable[[str], None],
    asked_to_stop: Callable[[], int | None],
    device: torch.device | str = "cpu",
) -> TrialResult:
    """Train to the end and return the result; a training that fails has one too.

    Args:
        run: the run of the trial.
        trial: the trial.
        key: the key of the trial.
        catalogue: the components that may be named.
        watch: returns the display for the training.
        says: shows a line of text.
        asked_to_stop: returns the signal that asked for a stop, or None.
        device: where the network is trained.

    Raises:
        StoppedError: when it was asked to stop; everything is saved.
        RunError: when a file cannot be written.
    """
    about = {
        "key": key,
        "architecture": trial.resolved(),
        "clean_targets": trial.clean_targets,
        "seed": trial.seed,
        **surroundings(with_requirements(trial.architecture, catalogue).requires or {}, device),
    }
    try:
        session = Session.open(run, catalogue, device=device)
        about |= {"data": session.dataset.description, "samples": len(session.pairs)}
        with watch(session) as display:
            evaluation = train_shown(session, display, asked_to_stop)
        about |= {"curve": _curve(session), **_outcome(session, evaluation, says)}
        return TrialResult(status="done", **about, epochs=_epochs(run))
    except DivergedError as error:
        return TrialResult(status="diverged", message=str(error), **about, epochs=_epochs(run))
    except (StoppedError, RunError):
        raise
    except LayerkitError as error:
        return TrialResult(status="failed", message=str(error), **about, epochs=_epochs(run))


def _curve(session: Session) -> tuple[tuple[float, float], ...]:
    return tuple((float(point.pictures), point.loss) for point in session.curve.points if math.isfinite(point.loss))


def _epochs(run: Run) -> tuple[EpochRecord, ...]:
    """Return the epochs that the run has recorded, including those before an interruption."""
    return tuple(
        EpochRecord(
            epoch=event["epoch"],
            seconds=event["seconds"],
            quality=recorded(event["denoised"]) if event.get("denoised") else None,
        )
        for event in run.events()
        if event.get("event") == "epoch"
    )


def _outcome(session: Session, evaluation: Evaluation | None, says: Callable[[str], None]) -> dict[str, Any]:
    """Return the quality of the validation pictures, and draw some of them; ``evaluation`` if it is known already."""
    validation = session.dataset.validation
    if validation is None:
        return {}
    evaluation = evaluation or evaluate(session.denoiser, *validation)
    shown = varied_examples(session.denoiser, validation)
    if shown.drawable:
        try:
            montage(session.run.montage, *shown)
            write_tiles(session.run.folder / TILES, shown)
        except RunError as error:
            says(f"warning: {error}; the trial has its result all the same")
    return {
        "pictures": evaluation.pictures,
        "noisy": recorded(evaluation.noisy),
        "denoised": recorded(evaluation.denoised),
        "constant": finite(evaluation.constant),
        "estimated": evaluation.estimated,
        "examples": ratios(shown),
    }
