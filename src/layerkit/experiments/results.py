"""What a trial leaves behind: one file, written in one piece, from which every figure and table is drawn."""

from __future__ import annotations

import datetime
import importlib.metadata
import math
import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import Field, JsonValue, ValidationError

from layerkit.contracts.specs import StrictModel
from layerkit.denoising.metrics import Quality
from layerkit.disk import write_atomically

PACKAGES = ("torch", "numpy", "scikit-image")
"""Packages besides layerkit and the plugins whose versions a result keeps."""

Pairs = tuple[tuple[float, float], ...]


class QualityRecord(StrictModel):
    """A :class:`layerkit.denoising.metrics.Quality`; None where a number is not finite, or not defined."""

    psnr_mean: float | None
    psnr_of_mse: float | None
    ssim: float | None

    @property
    def headline(self) -> float | None:
        """The mean of the pictures' own PSNR, or where that is not known the PSNR of the mean error, in dB."""
        return self.psnr_of_mse if self.psnr_mean is None else self.psnr_mean

    @classmethod
    def of(cls, quality: Quality) -> QualityRecord:
        """Return the record of a quality."""
        values = (quality.psnr_mean, quality.psnr_of_mse, quality.ssim)
        numbers = (value if value is not None and math.isfinite(value) else None for value in values)
        return cls(**dict(zip(cls.model_fields, numbers, strict=True)))


class EpochRecord(StrictModel):
    """An epoch: its number from 1, the seconds of its training, and the quality of the validation pictures after it."""

    epoch: int
    seconds: float
    quality: QualityRecord | None = None


class TrialResult(StrictModel):
    """What became of a trial.

    Attributes:
        key: of the training, as :meth:`layerkit.experiments.plan.Trial.key` has it.
        status: "done"; "diverged", which it would again; or "failed" for another reason, which may have gone.
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
    noisy: QualityRecord | None = None
    denoised: QualityRecord | None = None
    constant: float | None = None
    estimated: bool = False
    examples: tuple[tuple[float | None, float | None], ...] = ()
    timed: bool = False
    packages: dict[str, str] = Field(default_factory=dict)
    machine: dict[str, JsonValue] = Field(default_factory=dict)
    finished: Annotated[str, Field(max_length=40)] = ""

    @property
    def seconds(self) -> float:
        """Seconds of training, without validation."""
        return sum(epoch.seconds for epoch in self.epochs)

    @property
    def psnr(self) -> float | None:
        """The headline after denoising, as :class:`layerkit.denoising.metrics.Quality` has it; None without one."""
        if self.denoised is None or self.status != "done":
            return None
        return self.denoised.headline


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


def surroundings(requires: Mapping[str, Mapping[str, str]] | None) -> dict[str, Any]:
    """Return packages, machine and time, as a result keeps them; ``requires`` is an architecture's."""
    packages = dict(package.split("==", 1) for names in (requires or {}).values() for package in names.values())
    for name in ("layerkit", *PACKAGES):
        try:
            packages[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    machine = {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    return {"packages": packages, "machine": machine, "finished": now}


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
