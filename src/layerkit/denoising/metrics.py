"""How close pictures are to their clean originals: PSNR and SSIM.

Pictures are float tensors (N, C, H, W) with values from 0 to 1.

There are two numbers that people call "the PSNR of a data set": the mean of every picture's own PSNR, and the PSNR of
the squared error averaged over all pictures. The first is never smaller, by about 1 dB on the report's pictures.
:class:`Quality` has both under their own names; the first is the headline.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from layerkit.errors import DataError, ShapeError

WINDOW = 7
"""Side of the window in which SSIM compares two pictures, scikit-image's default, in pixels."""
SMALLEST_WINDOW = 3
"""A smaller window has no variance to compare, or no middle."""
ROUNDING = 1 / (12 * 255**2)
"""The mean squared error that rounding to 8 bits makes, 58.9 dB: no picture file is nearer to its original."""


@dataclass(frozen=True)
class Quality:
    """How close a set of pictures is to the clean originals.

    Attributes:
        psnr_mean: mean of the pictures' own PSNR, in dB: the headline. None where the clean originals are not known:
            see :func:`estimate`.
        psnr_of_mse: PSNR of the squared error averaged over all pictures, in dB.
        ssim: mean structural similarity, at most 1; None for pictures with a side of less than 3 pixels, for which it
            is not defined, and where the clean originals are not known.
    """

    psnr_mean: float | None
    psnr_of_mse: float
    ssim: float | None

    @property
    def headline(self) -> float:
        """The mean of the pictures' own PSNR, or where that is not known the PSNR of the mean error."""
        return self.psnr_of_mse if self.psnr_mean is None else self.psnr_mean


def measure(images: Tensor, reference: Tensor) -> Quality:
    """Return the quality of ``images``, clipped to 0..1, against the clean ``reference``; both are (N, C, H, W).

    No picture's error is taken for less than that of rounding to 8 bits. Noise that spares some pictures altogether, as
    words do which stand elsewhere, would make the mean infinite otherwise, whatever the other pictures are like.

    Raises:
        ShapeError: when the shapes differ, or there is no picture to measure.
        DataError: when the pictures are not floats.
    """
    _check(images, reference)
    images = images.clamp(0, 1)
    error = _squared_error(images, reference).clamp(min=ROUNDING)
    similarity = ssim(images, reference)
    return Quality(
        psnr_mean=_decibels(error).mean().item(),
        psnr_of_mse=_decibels(error.mean()).item(),
        ssim=None if similarity is None else similarity.mean().item(),
    )


def estimate(images: Tensor, noisy: Tensor, again: Tensor) -> Quality:
    """Return the quality of ``images``, made from ``noisy`` alone and clipped to 0..1, without the clean originals.

    ``noisy`` and ``again``, y1 = x + n1 and y2 = x + n2, are the same originals with independent noise of mean zero.
    The second noise knows nothing of f(y1), so the mixed term of |f(y1) - x - n2|^2 has mean zero:

        E|f(y1) - y2|^2 = E|f(y1) - x|^2 + E|n2|^2   and   E|y1 - y2|^2 = E|n1|^2 + E|n2|^2 = 2 E|n|^2,

    the latter when both are equally noisy on average. (Lehtinen et al. 2018, Noise2Noise, train on the left-hand side.)
    The mean squared error is the difference of two means, so it can be as little as 0 by chance: then the PSNR is
    infinite. PSNR of single pictures and SSIM are not linear in the error, and are not estimated.

    Raises:
        ShapeError: when the shapes differ, or there is no picture to measure.
        DataError: when the pictures are not floats.
    """
    _check(images, again)
    _check(noisy, again)
    variance = _squared_error(noisy, again).mean() / 2
    error = _squared_error(images.clamp(0, 1), again).mean() - variance
    return Quality(psnr_mean=None, psnr_of_mse=_decibels(error.clamp(min=0)).item(), ssim=None)


def psnr(images: Tensor, reference: Tensor) -> Tensor:
    """Return every picture's peak signal-to-noise ratio, 10 log10(1 / mean squared error), in dB: float64, (N,).

    Values are taken as they are, without clipping; an identical picture has an infinite ratio.

    Raises:
        ShapeError: when the shapes differ, or there is no picture to measure.
        DataError: when the pictures are not floats.
    """
    _check(images, reference)
    return _decibels(_squared_error(images, reference))


def ssim(images: Tensor, reference: Tensor) -> Tensor | None:
    """Return every picture's structural similarity, float64, (N,), as ``skimage.metrics.structural_similarity`` has it.

    Windows of 7x7 pixels, channels apart and then averaged; pictures with a shorter side get the largest odd window
    that fits, those with a side of less than 3 pixels None.

    Raises:
        ShapeError: when the shapes differ, or there is no picture to measure.
        DataError: when the pictures are not floats.
    """
    _check(images, reference)
    side = min(*images.shape[2:], WINDOW)
    window = side - 1 + side % 2
    if window < SMALLEST_WINDOW:
        return None
    from skimage.metrics import structural_similarity

    pairs = zip(images.double().cpu().numpy(), reference.double().cpu().numpy(), strict=True)
    return torch.tensor(
        [structural_similarity(*pair, win_size=window, data_range=1.0, channel_axis=0) for pair in pairs],
        dtype=torch.float64,
    )


def constant_psnr(reference: Tensor) -> float:
    """Return the mean PSNR, in dB, of answering every picture with one and the same colour, the mean of them all.

    That is the best a network can do without looking at its input: a run that scores no better has learned nothing.

    Raises:
        ShapeError: when ``reference`` is not (N, C, H, W), or there is no picture to measure.
        DataError: when the pictures are not floats.
    """
    _check(reference, reference)
    colour = reference.mean(dim=(0, 2, 3), keepdim=True)
    return psnr(colour.expand_as(reference), reference).mean().item()


def _squared_error(images: Tensor, reference: Tensor) -> Tensor:
    """Return every picture's mean squared error, float64, (N,)."""
    return (images - reference).square().mean(dim=(1, 2, 3), dtype=torch.float64)


def _decibels(error: Tensor) -> Tensor:
    return -10 * error.log10()


def _check(images: Tensor, reference: Tensor) -> None:
    if images.shape != reference.shape:
        raise ShapeError(
            f"pictures of {tuple(images.shape)} cannot be compared with originals of {tuple(reference.shape)}; "
            "give both the same shape (N, C, H, W)"
        )
    if images.dim() != 4 or not images.numel():
        raise ShapeError(f"expected at least one picture, as (N, C, H, W), not {tuple(images.shape)}")
    for pictures in (images, reference):
        if not pictures.is_floating_point():
            raise DataError(f"pictures must be floats from 0 to 1, not {pictures.dtype}; divide 0..255 by 255")
