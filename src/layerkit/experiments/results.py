"""The result of a trial: one file, written atomically, from which all figures and tables are drawn."""

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
"""The largest ratio of the slowest to the fastest epoch's seconds on a machine without other programs."""
Pairs = tuple[tuple[float, float], ...]


Recorded = dict[str, float | None]
"""A quality as it is stored: values by the name of the metric, None where one is unknown, undefined or not finite."""


def recorded(quality: Mapping[str, Any]) -> Recorded:
    """Return a quality, which may come from an untrusted file, in the form that is stored."""
    return {metric.name: finite(quality.get(metric.name)) for metric in METRICS}


def finite(value: Any) -> float | None:
    """Return a number if it is finite, so that JSON can hold it, else None."""
    return value if isinstance(value, float) and math.isfinite(value) else None


class EpochRecord(StrictModel):
    """An epoch: its number from 1, the seconds of its training, and the quality of the validation pictures after it."""

    epoch: int
    seconds: float
    quality: Recorded | None = None


class TrialResult(StrictModel):
    """The result of a trial.

    Attributes:
        key: identifies the training, see :meth:`layerkit.experiments.plan.Trial.key`.
        status: "done"; "diverged", which would happen again; or "failed", which another attempt may avoid.
        message: why it is not done.
        architecture, clean_targets, seed: what was trained.
        data: the description of the data set.
        samples: pairs in one epoch.
        epochs: the records of the epochs, in order.
        curve: (pictures seen, mean loss since the point before).
        pictures: the number of pictures measured at the end.
        noisy, denoised: their quality before and after.
        constant: the PSNR of one constant image, in dB.
        estimated: whether quality is estimated from pairs of noisy pictures, because there are no clean pictures.
        examples: PSNR of the montage's pictures in dB, (noisy, denoised).
        timed: whether no other trial ran at the same time, and it was never interrupted.
        packages, machine: the packages and the machine that it ran with.
        finished: the time when it finished, in UTC.
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
        """Seconds of training without validation; the parts of an interrupted training are added up."""
        return sum(epoch.seconds for epoch in self.epochs)

    @property
    def steady_seconds(self) -> float:
        """The seconds of training if each epoch were as fast as the fastest; other programs only slow it down."""
        return len(self.epochs) * min((epoch.seconds for epoch in self.epochs), default=0.0)

    @property
    def uneven(self) -> bool:
        """Whether the times of epochs differ so much that other programs must have slowed down some of them."""
        seconds = [epoch.seconds for epoch in self.epochs]
        return bool(seconds) and max(seconds) > UNEVEN * min(seconds)

    @property
    def settled(self) -> bool:
        """Whether the training need not be tried again; one that failed may succeed next time."""
        return self.status != "failed"

    @property
    def psnr(self) -> float | None:
        """The main PSNR after denoising, in dB; None if nothing was denoised, or the trial is not done."""
        if self.denoised is None or self.status != "done":
            return None
        return headline(self.denoised)


def read_result(path: Path, key: str) -> TrialResult | None:
    """Return the result in a file; None if there is none, or it belongs to another training or cannot be read."""
    try:
        return parsed(path.read_bytes(), key)
    except OSError:
        return None


def parsed(text: str | bytes, key: str) -> TrialResult | None:
    """Return the result in a JSON text; None if it belongs to another training or cannot be read."""
    try:
        result = TrialResult.model_validate_json(text)
    except ValidationError:
        return None
    return result if result.key == key else None


def write_result(path: Path, result: TrialResult) -> None:
    """Write a result atomically.

    Raises:
        RunError: when it cannot be written.
    """
    write_atomically(path, (result.model_dump_json(indent=2) + "\n").encode())
