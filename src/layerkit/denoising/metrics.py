"""How close pictures are to their clean originals: PSNR and SSIM.

Pictures are float tensors (N, C, H, W) with values from 0 to 1.

There are two numbers that people call "the PSNR of a data set": the mean of every picture's own PSNR, and the PSNR of
the squared error averaged over all pictures. The first is never smaller, by about 1 dB on the report's pictures.
A :class:`Quality` has both under their own names; the first is the headline.

``METRICS``, at the end, is the table from which evaluations, results in JSON, tables and progress lines are made: a new
metric is a row in it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from layerkit.errors import DataError, ShapeError

WINDOW = 7
"""Side of the window in which SSIM compares two pictures, scikit-image's default, in pixels."""
SMALLEST_WINDOW = 3
"""The smallest window, in pixels: a smaller one has no middle pixel, or no variance."""
STABLE = 0.01**2, 0.03**2
"""The constants that keep the two quotients of SSIM finite where a picture is black, or has no contrast."""
VALUES_AT_ONCE = 2**18
"""SSIM is computed for so many numbers at a time, which stay in the cache."""
ROUNDING = 1 / (12 * 255**2)
"""The mean squared error that rounding to 8 bits makes, 58.9 dB: no picture file is nearer to its original."""


@dataclass(frozen=True)
class Metric:
    """One number that says how close a set of pictures is to the clean originals: how it is measured, and written.

    Attributes:
        name: its key in JSON.
        title: what it is called.
        detail: which of several of that title it is; empty if there is only one.
        unit: "dB", or empty.
        decimals: how many are written.
        measured: takes pictures clipped to 0..1 and the clean ones, both (N, C, H, W); gives None where the number
            is not defined.
        estimated: takes what :func:`estimate` takes; None if the number cannot be known without the clean originals.
    """

    name: str
    title: str
    detail: str
    unit: str
    decimals: int
    measured: Callable[[Tensor, Tensor], float | None]
    estimated: Callable[[Tensor, Tensor, Tensor], float] | None = None

    @property
    def label(self) -> str:
        """The name of a column whose numbers have their unit beside them."""
        return f"{self.title} ({self.detail})" if self.detail else self.title

    @property
    def heading(self) -> str:
        """The name of a column of bare numbers."""
        unit = f" in {self.unit}" if self.unit else ""
        return f"{self.title}{unit}" + (f" ({self.detail})" if self.detail else "")

    def text(self, value: float, sign: str = "") -> str:
        """Return a value with its unit; a ``sign`` of "+" is for differences."""
        return f"{value:{sign}.{self.decimals}f} {self.unit}".rstrip()


class Quality(dict[str, float | None]):
    """How close a set of pictures is to the clean originals: a value for the name of each of the ``METRICS``.

    The value is None where the metric is not defined for these pictures, or cannot be known without clean originals.
    """

    @property
    def psnr_mean(self) -> float | None:
        """Mean of the pictures' own PSNR, in dB; None if it is an estimate: see :func:`estimate`."""
        return self[PSNR_MEAN.name]

    @property
    def psnr_of_mse(self) -> float | None:
        """PSNR of the squared error averaged over all pictures, in dB."""
        return self[PSNR_OF_MSE.name]

    @property
    def ssim(self) -> float | None:
        """Mean structural similarity, at most 1; None for pictures with a side of less than 3 pixels, and estimates."""
        return self[SSIM.name]

    @property
    def headline(self) -> float:
        """The mean of the pictures' own PSNR, or where that is not known the PSNR of the mean error, in dB."""
        value = headline(self)
        assert value is not None, "each measurement and each estimate has one of the two"
        return value


def headline(quality: Mapping[str, float | None]) -> float | None:
    """Return the first of the ``HEADLINES`` that is known, in dB; None if none is."""
    return next((value for metric in HEADLINES if (value := quality.get(metric.name)) is not None), None)


def measure(images: Tensor, reference: Tensor) -> Quality:
    """Return the quality of ``images``, clipped to 0..1, against the clean ``reference``; both are (N, C, H, W).

    An error smaller than that of rounding to 8 bits counts as that of rounding. Without this limit one picture that the
    noise left untouched, such as one without any of the words of the noise ``text``, would make the mean infinite.

    Raises:
        ShapeError: when the shapes differ, or there is no picture to measure.
        DataError: when the pictures are not floats.
    """
    _check(images, reference)
    images = images.clamp(0, 1)
    return Quality({metric.name: metric.measured(images, reference) for metric in METRICS})


def estimate(images: Tensor, noisy: Tensor, again: Tensor) -> Quality:
    """Return the quality of ``images``, made from ``noisy`` alone and clipped to 0..1, without the clean originals.

    ``noisy`` and ``again``, y1 = x + n1 and y2 = x + n2, are the same originals with independent noise of mean zero.
    The second noise is independent of f(y1), so the mixed term of |f(y1) - x - n2|^2 has mean zero:

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
    images = images.clamp(0, 1)
    return Quality(
        {metric.name: metric.estimated(images, noisy, again) if metric.estimated else None for metric in METRICS}
    )


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
    that fits, those with a side of less than 3 pixels None. (Wang, Bovik, Sheikh and Simoncelli 2004, equation 13.)

    Raises:
        ShapeError: when the shapes differ, or there is no picture to measure.
        DataError: when the pictures are not floats.
    """
    _check(images, reference)
    side = min(*images.shape[2:], WINDOW)
    window = side - 1 + side % 2
    if window < SMALLEST_WINDOW:
        return None
    planes = images.flatten(0, 1), reference.flatten(0, 1)
    count = max(1, VALUES_AT_ONCE // planes[0][0].numel())
    parts = zip(*(torch.split(tensor, count) for tensor in planes), strict=True)
    of_planes = torch.cat([_similarity(x.double().cpu(), y.double().cpu(), window) for x, y in parts])
    return of_planes.view(images.shape[:2]).mean(1)


def constant_psnr(reference: Tensor) -> float:
    """Return the mean PSNR, in dB, of answering each picture with one constant colour, the mean of all pictures.

    That is the best a network can do without using its input: a run that scores no better has learned nothing.

    Raises:
        ShapeError: when ``reference`` is not (N, C, H, W), or there is no picture to measure.
        DataError: when the pictures are not floats.
    """
    _check(reference, reference)
    colour = reference.mean(dim=(0, 2, 3), keepdim=True)
    return psnr(colour.expand_as(reference), reference).mean().item()


def _similarity(x: Tensor, y: Tensor, window: int) -> Tensor:
    """Return the SSIM of grey pictures (N, H, W), (N,): the mean over all windows of the product of two quotients,

        (2 mx my + c1) / (mx^2 + my^2 + c1)  (2 sxy + c2) / (sx^2 + sy^2 + c2),

    with the means m, the variances s^2 and the covariance sxy of a window's pixels, the latter as samples have them.
    """
    unbiased = window**2 / (window**2 - 1)
    mean_x, mean_y = _window_means(x, window), _window_means(y, window)
    squares, product = mean_x.square() + mean_y.square(), mean_x * mean_y
    variances = unbiased * (_window_means(x.square() + y.square(), window) - squares)
    covariance = unbiased * (_window_means(x * y, window) - product)
    first, second = STABLE
    quotients = (2 * product + first) / (squares + first) * ((2 * covariance + second) / (variances + second))
    return quotients.mean(dim=(1, 2))


def _window_means(x: Tensor, window: int) -> Tensor:
    """Return the mean of every window that lies inside pictures (N, H, W)."""
    for dim in (1, 2):
        size = x.shape[dim] - window + 1
        total = x.narrow(dim, 0, size).clone()
        for offset in range(1, window):
            total += x.narrow(dim, offset, size)
        x = total / window
    return x


def _squared_error(images: Tensor, reference: Tensor) -> Tensor:
    """Return every picture's mean squared error, float64, (N,)."""
    return (images - reference).square().mean(dim=(1, 2, 3), dtype=torch.float64)


def _visible_error(images: Tensor, reference: Tensor) -> Tensor:
    """Return every picture's mean squared error, or that of rounding to 8 bits if it is less, float64, (N,)."""
    return _squared_error(images, reference).clamp(min=ROUNDING)


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


def _mean_psnr(images: Tensor, reference: Tensor) -> float:
    return _decibels(_visible_error(images, reference)).mean().item()


def _psnr_of_mean_error(images: Tensor, reference: Tensor) -> float:
    return _decibels(_visible_error(images, reference).mean()).item()


def _estimated_psnr_of_mean_error(images: Tensor, noisy: Tensor, again: Tensor) -> float:
    variance = _squared_error(noisy, again).mean() / 2
    return _decibels((_squared_error(images, again).mean() - variance).clamp(min=0)).item()


def _mean_ssim(images: Tensor, reference: Tensor) -> float | None:
    similarity = ssim(images, reference)
    return None if similarity is None else similarity.mean().item()


PSNR_MEAN = Metric("psnr_mean", "PSNR", "mean of pictures", "dB", 2, _mean_psnr)
PSNR_OF_MSE = Metric(
    "psnr_of_mse", "PSNR", "of mean error", "dB", 2, _psnr_of_mean_error, estimated=_estimated_psnr_of_mean_error
)
SSIM = Metric("ssim", "SSIM", "", "", 3, _mean_ssim)
METRICS = (PSNR_MEAN, PSNR_OF_MSE, SSIM)
"""All metrics, in the order of tables."""
HEADLINES = (PSNR_MEAN, PSNR_OF_MSE)
"""The metrics by which networks are compared: the first one that is known."""
SECONDARY = tuple(metric for metric in METRICS if metric not in HEADLINES)
"""Those that stand beside the headline."""
