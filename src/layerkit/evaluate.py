"""How much better pictures are after a network than before."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from layerkit.denoise import Denoiser
from layerkit.metrics import Quality, constant_psnr, measure

NOTHING_LEARNED = 0.5
"""Decibels above the best constant image below which a network has learned nothing."""


@dataclass(frozen=True)
class Evaluation:
    """The quality of noisy pictures, and of what a network makes of them, against the clean ones.

    Attributes:
        pictures: how many.
        constant: mean PSNR of one constant image, in dB, as a network reaches it without looking at its input.
    """

    pictures: int
    noisy: Quality
    denoised: Quality
    constant: float

    @property
    def gain(self) -> float:
        """Decibels gained, in the mean of each picture's PSNR."""
        return self.denoised.psnr_mean - self.noisy.psnr_mean

    @property
    def learned_nothing(self) -> bool:
        """Whether the network does no better than a constant image."""
        return self.denoised.psnr_mean < self.constant + NOTHING_LEARNED


def restore(denoiser: Denoiser, noisy: Tensor) -> Tensor:
    """Return noisy pictures (N, C, H, W), values from 0 to 1, denoised, values from 0 to 1."""
    return denoiser.predict(noisy * 255) / 255


def evaluate(denoiser: Denoiser, noisy: Tensor, clean: Tensor) -> Evaluation:
    """Return how well ``denoiser`` brings noisy pictures (N, C, H, W), values from 0 to 1, back to the clean ones."""
    denoised = restore(denoiser, noisy)
    return Evaluation(len(noisy), measure(noisy, clean), measure(denoised, clean), constant_psnr(clean))
