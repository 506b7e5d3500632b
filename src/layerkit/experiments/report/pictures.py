"""The examples on the page: rows of pictures, each with a caption."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from layerkit.denoising.metrics import PSNR_MEAN
from layerkit.experiments.examples import read_tiles
from layerkit.experiments.results import TrialResult


@dataclass(frozen=True)
class Picture:
    """A picture on the page.

    Attributes:
        address: a ``data:`` URL.
        name: "noisy", "denoised" or "clean".
        caption: its PSNR and how that changed; empty where it is not known.
        worse: whether its PSNR is lower than before denoising.
    """

    address: str
    name: str
    caption: str
    worse: bool = False


def pictures(tiles: Path, result: TrialResult) -> list[list[Picture]]:
    """Return the pictures of a trial's examples, one row each; none if their file is missing.

    Args:
        tiles: a file of :func:`layerkit.experiments.examples.write_tiles`.
        result: the result of the trial.
    """
    names = ("noisy", "denoised") if result.estimated else ("noisy", "denoised", "clean")
    rows = read_tiles(tiles, len(result.examples), len(names))
    return [
        [
            Picture(address, name, caption, worse)
            for address, name, (caption, worse) in zip(row, names, _captions(*ratios), strict=False)
        ]
        for row, ratios in zip(rows, result.examples, strict=False)
    ]


def _captions(before: float | None, after: float | None) -> list[tuple[str, bool]]:
    if before is None or after is None:
        return [("", False)] * 3
    difference = PSNR_MEAN.text(abs(after - before))
    word = "worse" if after < before else "better"
    denoised = f"{PSNR_MEAN.text(after)}, {difference} {word}"
    return [(PSNR_MEAN.text(before), False), (denoised, after < before), ("", False)]
