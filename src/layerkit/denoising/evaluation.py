"""Measures how much a network improves pictures."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import NamedTuple

from torch import Tensor

from layerkit.data.dataset import Validation
from layerkit.denoising.denoiser import Denoiser
from layerkit.denoising.metrics import Metric, Quality, constant_psnr, estimate, measure
from layerkit.errors import DataError

NOTHING_LEARNED = 0.5
"""Decibels above the best constant image below which a network has learned nothing."""


@dataclass(frozen=True)
class Evaluation:
    """The quality of noisy pictures, before and after denoising, against the clean pictures.

    Attributes:
        pictures: the number of pictures.
        noisy, denoised: their quality before and after.
        constant: the PSNR of the best constant image in dB, which a network can reach without using its input.
        estimated: whether all is estimated from pairs of noisy pictures, because there are no clean pictures.
        seconds: the network's time for one picture; it does not count when evaluations are compared.
    """

    pictures: int
    noisy: Quality
    denoised: Quality
    constant: float
    estimated: bool = False
    seconds: float = field(default=0.0, compare=False)

    @property
    def gain(self) -> float:
        """Decibels gained, in the mean of each picture's PSNR, or in the PSNR of the mean error if estimated."""
        return self.denoised.headline - self.noisy.headline

    @property
    def learned_nothing(self) -> bool:
        """Whether the network does no better than a constant image."""
        return self.denoised.headline < self.constant + NOTHING_LEARNED

    def gain_in(self, metric: Metric) -> float | None:
        """Return how much a metric has grown; None where it is not known."""
        before, after = self.noisy.get(metric.name), self.denoised.get(metric.name)
        return None if before is None or after is None else after - before


def denoise_unit(denoiser: Denoiser, noisy: Tensor) -> Tensor:
    """Return noisy pictures (N, C, H, W), values from 0 to 1, denoised, values from 0 to 1."""
    return denoiser.predict(noisy * 255) / 255


def evaluate(denoiser: Denoiser, noisy: Tensor, clean: Tensor | None = None, again: Tensor | None = None) -> Evaluation:
    """Return how close ``denoiser`` brings noisy pictures to the clean ones.

    Args:
        denoiser: the denoiser to evaluate.
        noisy: (N, C, H, W), values from 0 to 1. Channels beyond those of the other pictures are only an input of the
            network, and are not measured.
        clean: the clean pictures, if they are known.
        again: otherwise the same pictures with independent noise, from which the quality is estimated; see
            :func:`layerkit.denoising.metrics.estimate`.

    Raises:
        DataError: when neither is given.
    """
    start = time.perf_counter()
    denoised = denoise_unit(denoiser, noisy)
    seconds = (time.perf_counter() - start) / max(1, len(noisy))
    judge = again if clean is None else clean
    if judge is not None:
        noisy, denoised = noisy[:, : judge.shape[1]], denoised[:, : judge.shape[1]]
    if clean is not None:
        before, after = measure(noisy, clean), measure(denoised, clean)
        return Evaluation(len(noisy), before, after, constant_psnr(clean), seconds=seconds)
    if again is None:
        raise DataError("evaluation needs clean pictures, or the same pictures with independent noise; give either")
    colour = noisy.mean(dim=(0, 2, 3), keepdim=True).expand_as(noisy)
    constant = estimate(colour, noisy, again).headline
    before, after = estimate(noisy, noisy, again), estimate(denoised, noisy, again)
    return Evaluation(len(noisy), before, after, constant, estimated=True, seconds=seconds)


class Examples(NamedTuple):
    """Some pictures before and after a network, (N, C, H, W), values from 0 to 1 (noise may reach beyond)."""

    noisy: Tensor
    denoised: Tensor
    clean: Tensor | None

    @property
    def drawable(self) -> bool:
        """Whether they can be shown as pictures, grey or in colour."""
        return self.noisy.shape[1] in (1, 3)


def examples(denoiser: Denoiser, validation: Validation, count: int = 5) -> Examples:
    """Return at most ``count`` of the validation pictures, evenly chosen, with what the network makes of them."""
    step = max(1, len(validation.noisy) // count)
    noisy = validation.noisy[::step][:count]
    clean = None if validation.clean is None else validation.clean[::step][:count]
    channels = validation.pictures.shape[1]
    return Examples(noisy[:, :channels], denoise_unit(denoiser, noisy)[:, :channels], clean)
