"""Classical methods without learning, from scikit-image, with which networks are compared.

- Gaussian blur: ``skimage.filters.gaussian``;
- non-local means (Buades, Coll, Morel 2005): ``skimage.restoration.denoise_nl_means``;
- total variation (Chambolle 2004): ``skimage.restoration.denoise_tv_chambolle``.

Their parameters are either *tuned*, if clean pictures are known: the best of a small grid on the same pictures, which
is an advantage over a network that has never seen them; or *fitted* to noise of a known level, by rules of thumb.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from layerkit.data.dataset import Validation
from layerkit.data.pictures import middle
from layerkit.denoising.metrics import Quality, measure, psnr

Parameters = Mapping[str, float]
"""Keyword arguments of the scikit-image function."""

TUNING_PIXELS = 2**16
"""About how many pixels parameters are tuned on; at least four pictures are used."""
TUNING_PICTURES = 64
"""The most pictures that parameters are tuned on, because each takes some time, however small it is."""
TUNING_SIDE = 128
"""Parameters are tuned on the middle of a larger picture: its height and width, in pixels."""


@dataclass(frozen=True)
class Baseline:
    """A classical method and the parameters that are tried for it.

    Attributes:
        name: for tables.
        method: takes a picture, floats (C, H, W), and parameters by name, and returns the denoised picture.
        grid: the parameters among which :func:`tune` chooses.
        rule: gives the parameters for Gaussian noise of a standard deviation in units of 8-bit values.
    """

    name: str
    method: Callable[..., np.ndarray]
    grid: tuple[Parameters, ...]
    rule: Callable[[float], Parameters]


@dataclass(frozen=True)
class Tuned:
    """A classical method with parameters."""

    baseline: Baseline
    parameters: Parameters

    @property
    def name(self) -> str:
        """The name of the method."""
        return self.baseline.name

    def apply(self, pictures: Tensor) -> Tensor:
        """Return pictures (N, C, H, W), values from 0 to 1, denoised one by one; same shape and dtype."""
        denoised = torch.empty(pictures.shape, dtype=pictures.dtype)
        for index, picture in enumerate(pictures.cpu().numpy()):
            denoised[index] = torch.from_numpy(self.baseline.method(picture, **self.parameters))
        return denoised.to(pictures.device)


@dataclass(frozen=True)
class BaselineResult:
    """What a tuned method reaches: its name, its parameters, and the quality of the pictures after it."""

    name: str
    parameters: Parameters
    quality: Quality


def _gaussian_blur(picture: np.ndarray, **parameters: float) -> np.ndarray:
    from skimage.filters import gaussian

    # scikit-image has no types.
    return np.asarray(gaussian(picture, **parameters, channel_axis=0))  # type: ignore[no-untyped-call]


def _non_local_means(picture: np.ndarray, **parameters: float) -> np.ndarray:
    from skimage.restoration import denoise_nl_means

    # scikit-image drops every dimension of size 1, and takes one of the others for the channels then.
    if 1 in picture.shape[1:]:
        return picture
    if len(picture) == 1:
        return np.asarray(denoise_nl_means(picture[0], **parameters)[None])
    return np.asarray(denoise_nl_means(picture, **parameters, channel_axis=0))


def _total_variation(picture: np.ndarray, **parameters: float) -> np.ndarray:
    from skimage.restoration import denoise_tv_chambolle

    # scikit-image has no types.
    return np.asarray(denoise_tv_chambolle(picture, **parameters, channel_axis=0))  # type: ignore[no-untyped-call]


def _nl_means(sigma: float, patch_size: int, patch_distance: int) -> Parameters:
    """Return the parameters for noise of this size; h = 0.6 sigma is scikit-image's advice for its fast mode."""
    noise = sigma / 255
    return {"patch_size": patch_size, "patch_distance": patch_distance, "sigma": noise, "h": 0.6 * noise}


# The rules of thumb go through the best parameters for noise of 5 to 100 of 255 on the built-in photographs.
BASELINES = (
    Baseline(
        "Gaussian blur",
        _gaussian_blur,
        tuple({"sigma": sigma} for sigma in (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 1.0, 1.2, 1.5, 2.0, 2.5)),
        lambda sigma: {"sigma": 0.3 + 0.02 * sigma},
    ),
    Baseline(
        "non-local means",
        _non_local_means,
        tuple(_nl_means(sigma, *patch) for patch in ((3, 3), (5, 6)) for sigma in (5, 10, 15, 25, 35, 50, 75)),
        lambda sigma: _nl_means(sigma, 5, 6),
    ),
    Baseline(
        "total variation",
        _total_variation,
        tuple({"weight": weight} for weight in (0.01, 0.02, 0.04, 0.06, 0.08, 0.12, 0.18, 0.27, 0.4)),
        lambda sigma: {"weight": 0.8 * sigma / 255},
    ),
)


def tune(noisy: Tensor, clean: Tensor, baselines: Sequence[Baseline] = BASELINES) -> list[Tuned]:
    """Return each method with those parameters of its grid that reach the best mean PSNR on these pictures.

    Of many or large pictures a part is tried, evenly chosen.

    Args:
        noisy, clean: (N, C, H, W), values from 0 to 1 (noise may reach beyond).
        baselines: the methods.
    """
    noisy, clean = _part(noisy), _part(clean)

    def score(tuned: Tuned) -> float:
        return psnr(tuned.apply(noisy).clamp(0, 1), clean).mean().item()

    return [max((Tuned(baseline, chosen) for chosen in baseline.grid), key=score) for baseline in baselines]


def measure_baselines(validation: Validation) -> list[BaselineResult]:
    """Return what each method reaches, tuned on the pictures it is measured on; nothing without clean pictures."""
    noisy, clean = validation.pictures, validation.clean
    if clean is None:
        return []
    return [
        BaselineResult(tuned.name, tuned.parameters, measure(tuned.apply(noisy), clean)) for tuned in tune(noisy, clean)
    ]


def fit_to_noise(sigma: float, baselines: Sequence[Baseline] = BASELINES) -> list[Tuned]:
    """Return each method with parameters for Gaussian noise of standard deviation ``sigma``, in 8-bit values."""
    return [Tuned(baseline, baseline.rule(sigma)) for baseline in baselines]


def _part(pictures: Tensor) -> Tensor:
    """Return the middles of some pictures, about ``TUNING_PIXELS`` together."""
    part = middle(pictures, TUNING_SIDE)
    count = min(TUNING_PICTURES, max(4, TUNING_PIXELS // part[0, 0].numel()))
    return part[:: -(-len(part) // count)]
