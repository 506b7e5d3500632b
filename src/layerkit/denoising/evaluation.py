"""How much better pictures are after a network than before."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from layerkit.denoising.denoiser import Denoiser
from layerkit.denoising.metrics import Quality, constant_psnr, estimate, measure
from layerkit.errors import DataError

NOTHING_LEARNED = 0.5
"""Decibels above the best constant image below which a network has learned nothing."""


@dataclass(frozen=True)
class Evaluation:
    """The quality of noisy pictures, and of what a network makes of them, against the clean ones.

    Attributes:
        pictures: how many.
        constant: PSNR of one constant image, in dB, as a network reaches it without looking at its input.
        estimated: whether nobody knows the clean ones, so that all is estimated from pairs of noisy pictures.
    """

    pictures: int
    noisy: Quality
    denoised: Quality
    constant: float
    estimated: bool = False

    @property
    def gain(self) -> float:
        """Decibels gained, in the mean of each picture's PSNR, or in the PSNR of the mean error if estimated."""
        return self.denoised.headline - self.noisy.headline

    @property
    def learned_nothing(self) -> bool:
        """Whether the network does no better than a constant image."""
        return self.denoised.headline < self.constant + NOTHING_LEARNED


def restore(denoiser: Denoiser, noisy: Tensor) -> Tensor:
    """Return noisy pictures (N, C, H, W), values from 0 to 1, denoised, values from 0 to 1."""
    return denoiser.predict(noisy * 255) / 255


def evaluate(denoiser: Denoiser, noisy: Tensor, clean: Tensor | None = None, again: Tensor | None = None) -> Evaluation:
    """Return how well ``denoiser`` brings noisy pictures back to the clean ones.

    Args:
        denoiser: whose work is judged.
        noisy: (N, C, H, W), values from 0 to 1.
        clean: the clean ones, if they are known.
        again: if they are not, the same with independent noise, from which the quality is estimated; see
            :func:`layerkit.denoising.metrics.estimate`.

    Raises:
        DataError: when neither is given.
    """
    denoised = restore(denoiser, noisy)
    if clean is not None:
        return Evaluation(len(noisy), measure(noisy, clean), measure(denoised, clean), constant_psnr(clean))
    if again is None:
        raise DataError("pictures are judged by clean ones, or by the same with noise drawn anew; neither was given")
    colour = noisy.mean(dim=(0, 2, 3), keepdim=True).expand_as(noisy)
    constant = estimate(colour, noisy, again).psnr_of_mse
    return Evaluation(
        len(noisy), estimate(noisy, noisy, again), estimate(denoised, noisy, again), constant, estimated=True
    )
