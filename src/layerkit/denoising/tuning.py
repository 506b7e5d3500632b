"""Tunes the parameters of classical methods to pictures, and measures the results.

A method gets the best of a small grid of parameters on the same pictures that it is measured on, which is an advantage
over a network that has never seen them. The best are those with

- the highest mean PSNR, where the clean pictures are known;
- the smallest squared distance to other noisy versions y2 of the same pictures, where only those are known. For noise
  of mean zero that is independent of the first, E|f(y1) - y2|^2 is E|f(y1) - x|^2 and the variance of the noise,
  which is the same for all parameters: see :func:`layerkit.denoising.metrics.estimate`.

A method that needs the noise level gets the one that is estimated from the pairs.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from layerkit.data.dataset import Validation
from layerkit.data.levels import levels
from layerkit.data.pictures import middle
from layerkit.denoising.baselines import BASELINES, Baseline, Parameters, Tuned
from layerkit.denoising.metrics import Quality, estimate, measure, psnr
from layerkit.errors import DataError

TUNING_PIXELS = 2**16
"""About how many pixels parameters are tuned on; at least four pictures are used."""
TUNING_PICTURES = 64
"""The most pictures that parameters are tuned on, because each takes some time, however small it is."""
TUNING_SIDE = 128
"""Parameters are tuned on the middle of a larger picture: its height and width, in pixels."""


@dataclass(frozen=True)
class BaselineResult:
    """The result of a tuned method.

    Attributes:
        name: of the method.
        parameters: the best ones.
        quality: of its results; an estimate where the clean ones are not known.
        seconds: its time for one picture.
    """

    name: str
    parameters: Parameters
    quality: Quality
    seconds: float


def tune(validation: Validation, baselines: Sequence[Baseline] = BASELINES) -> list[Tuned]:
    """Return each method with those parameters of its grid that do best on these pictures.

    Of many or large pictures an evenly chosen part is used.

    Args:
        validation: the pictures, with the clean ones or with the same noisy again.
        baselines: the methods.

    Raises:
        DataError: when there is nothing to judge by.
    """
    noisy, judge = _part(validation.pictures), _part(_judge(validation))
    level = 255 * levels(noisy, judge, validation.clean is not None).mean().item()

    def score(tuned: Tuned) -> float:
        denoised = tuned.apply(noisy).clamp(0, 1)
        if validation.clean is not None:
            return psnr(denoised, judge).mean().item()
        return -(denoised - judge).square().mean().item()

    def best(baseline: Baseline) -> Tuned:
        if not baseline.grid:
            return Tuned(baseline, baseline.rule(level))
        return max((Tuned(baseline, parameters) for parameters in baseline.grid), key=score)

    return [best(baseline) for baseline in baselines]


def measure_baselines(validation: Validation, baselines: Sequence[Baseline] = BASELINES) -> list[BaselineResult]:
    """Return the result of each method, tuned on the pictures that it is measured on.

    Raises:
        DataError: when there is nothing to judge by.
    """
    noisy, judge = validation.pictures, _judge(validation)
    results = []
    for tuned in tune(validation, baselines):
        start = time.perf_counter()
        denoised = tuned.apply(noisy)
        seconds = (time.perf_counter() - start) / len(noisy)
        quality = estimate(denoised, noisy, judge) if validation.clean is None else measure(denoised, judge)
        results.append(BaselineResult(tuned.name, tuned.parameters, quality, seconds))
    return results


def _judge(validation: Validation) -> Tensor:
    """Return what the pictures are judged by: the clean ones if they are known, else the same with other noise."""
    judge = validation.noisy_again if validation.clean is None else validation.clean
    if judge is None:
        raise DataError("methods are tuned to clean pictures, or to the same with noise drawn anew; neither was given")
    return judge


def _part(pictures: Tensor) -> Tensor:
    """Return the middles of some pictures, about ``TUNING_PIXELS`` together."""
    part = middle(pictures, TUNING_SIDE)
    count = min(TUNING_PICTURES, max(4, TUNING_PIXELS // part[0, 0].numel()))
    return part[:: -(-len(part) // count)]
