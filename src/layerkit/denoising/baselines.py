"""Classical methods without learning, with which networks are compared.

- Gaussian blur: ``skimage.filters.gaussian``;
- non-local means (Buades, Coll, Morel 2005): ``skimage.restoration.denoise_nl_means``;
- total variation (Chambolle 2004): ``skimage.restoration.denoise_tv_chambolle``;
- BM3D (:mod:`layerkit.denoising.bm3d`), where it is installed.

Their parameters are either *tuned* to pictures (:mod:`layerkit.denoising.tuning`), or *fitted* to noise of a known
level, by rules of thumb.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from layerkit.denoising.bm3d import bm3d, bm3d_is_installed

Parameters = Mapping[str, float]
"""Keyword arguments of a method."""


@dataclass(frozen=True)
class Baseline:
    """A classical method and the parameters that are tried for it.

    Attributes:
        name: for tables.
        method: takes pictures, floats (N, C, H, W), and parameters by name, and returns the denoised pictures.
        grid: the parameters among which :func:`layerkit.denoising.tuning.tune` chooses; empty for a method that is
            told how strong the noise is, and needs nothing else.
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
        """Return pictures (N, C, H, W), values from 0 to 1, denoised; same shape and dtype."""
        return torch.from_numpy(self.baseline.method(pictures.cpu().numpy(), **self.parameters)).to(pictures)


def _one_by_one(method: Callable[..., np.ndarray]) -> Callable[..., np.ndarray]:
    """Return a method for pictures (N, C, H, W), made of one for a single picture (C, H, W)."""

    def denoise(pictures: np.ndarray, **parameters: float) -> np.ndarray:
        denoised = np.empty_like(pictures)
        for index, picture in enumerate(pictures):
            denoised[index] = method(picture, **parameters)
        return denoised

    return denoise


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
        _one_by_one(_gaussian_blur),
        tuple({"sigma": sigma} for sigma in (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 1.0, 1.2, 1.5, 2.0, 2.5)),
        lambda sigma: {"sigma": 0.3 + 0.02 * sigma},
    ),
    Baseline(
        "non-local means",
        _one_by_one(_non_local_means),
        tuple(_nl_means(sigma, *patch) for patch in ((3, 3), (5, 6)) for sigma in (5, 10, 15, 25, 35, 50, 75)),
        lambda sigma: _nl_means(sigma, 5, 6),
    ),
    Baseline(
        "total variation",
        _one_by_one(_total_variation),
        tuple({"weight": weight} for weight in (0.01, 0.02, 0.04, 0.06, 0.08, 0.12, 0.18, 0.27, 0.4)),
        lambda sigma: {"weight": 0.8 * sigma / 255},
    ),
)
"""Those that everybody has."""
BM3D = Baseline("BM3D", bm3d, (), lambda sigma: {"sigma": sigma / 255})


def installed_baselines() -> tuple[Baseline, ...]:
    """Return all methods that can be had, the fastest first; BM3D takes minutes where the others take seconds."""
    return (*BASELINES, BM3D) if bm3d_is_installed() else BASELINES


def fit_to_noise(sigma: float, baselines: Sequence[Baseline] = BASELINES) -> list[Tuned]:
    """Return each method with parameters for Gaussian noise of standard deviation ``sigma``, in 8-bit values."""
    return [Tuned(baseline, baseline.rule(sigma)) for baseline in baselines]
