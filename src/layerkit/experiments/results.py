"""The result of a trial: one file, written in one piece, from which every figure and table is drawn."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, JsonValue, ValidationError

from layerkit.contracts.specs import StrictModel
from layerkit.denoising.metrics import METRICS, headline
from layerkit.disk import write_atomically

UNEVEN = 1.25
"""How many times the fastest epoch's seconds the slowest may take on a machine that does nothing else."""
Pairs = tuple[tuple[float, float], ...]


Recorded = dict[str, float | None]
"""A quality as a file has it: values by name of metric, None where one is not known, not defined or not finite."""


def recorded(quality: Mapping[str, Any]) -> Recorded:
    """Return the record of a quality, which may come from a file."""
    return {metric.name: finite(quality.get(metric.name)) for metric in METRICS}


def finite(value: Any) -> float | None:
    """Return a number if it is one that JSON can hold, else None."""
    return value if isinstance(value, float) and math.isfinite(value) else None


class EpochRecord(StrictModel):
    """An epoch: its number from 1, the seconds of its training, and the quality of the validation pictures after it."""

    epoch: int
    seconds: float
    quality: Recorded | None = None


class TrialResult(StrictModel):
    """What became of a trial.

    Attributes:
        key: what tells the training from all others, from :meth:`layerkit.experiments.plan.Trial.key`.
        status: "done"; "diverged", as it would again; or "failed" for a reason that may be gone at the next attempt.
        message: why it is not done.
        architecture, clean_targets, seed: what was trained.
        data: what the data set calls itself.
        samples: pairs in one epoch.
        epochs: in their order.
        curve: (pictures seen, mean loss since the point before).
        pictures: how many were measured in the end.
        noisy, denoised: their quality before and after.
        constant: the PSNR of one constant image.
        estimated: whether quality is estimated from pairs of noisy pictures, as nobody knows the clean ones.
        examples: PSNR of the montage's pictures, (noisy, denoised).
        timed: no other trial ran beside it, and it was never interrupted.
        packages, machine: what it ran with, and on.
        finished: when, in UTC.
    """

    format: Literal[1] = 1
    key: str
    status: Literal["done", "diverged", "failed"]
    message: str = ""
    architecture: dict[str, JsonValue]
    clean_targets: bool
    seed: int
    data: str = ""
    samples: int = 0
    epochs: tuple[EpochRecord, ...] = ()
    curve: Pairs = ()
    pictures: int = 0
    noisy: Recorded | None = None
    denoised: Recorded | None = None
    constant: float | None = None
    estimated: bool = False
    examples: tuple[tuple[float | None, float | None], ...] = ()
    timed: bool = False
    packages: dict[str, str] = Field(default_factory=dict)
    machine: dict[str, JsonValue] = Field(default_factory=dict)
    finished: Annotated[str, Field(max_length=40)] = ""

    @property
    def seconds(self) -> float:
        """Seconds of training, without validation, of all parts of a training that was interrupted."""
        return sum(epoch.seconds for epoch in self.epochs)

    @property
    def steady_seconds(self) -> float:
        """What the training takes when each epoch is as fast as the fastest: whatever else runs only slows it down."""
        return len(self.epochs) * min((epoch.seconds for epoch in self.epochs), default=0.0)

    @property
    def uneven(self) -> bool:
        """Whether epochs took so different times that something else must have run beside some of them."""
        seconds = [epoch.seconds for epoch in self.epochs]
        return bool(seconds) and max(seconds) > UNEVEN * min(seconds)

    @property
    def settled(self) -> bool:
        """Whether the training need not be tried again; one that failed may go better next time."""
        return self.status != "failed"

    @property
    def psnr(self) -> float | None:
        """The headline after denoising, in dB; None where nothing was denoised, or the trial is not done."""
        if self.denoised is None or self.status != "done":
            return None
        return headline(self.denoised)


def read_result(path: Path, key: str) -> TrialResult | None:
    """Return the result in a file; None when there is none, or it is not of this training or cannot be read."""
    try:
        result = TrialResult.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None
    return result if result.key == key else None


def write_result(path: Path, result: TrialResult) -> None:
    """Write a result in one piece.

    Raises:
        RunError: when it cannot be written.
    """
    write_atomically(path, (result.model_dump_json(indent=2) + "\n").encode())
