"""The network inside layerkit beside classical methods, on pictures that it has not seen: ``make quality``.

For each level of Gaussian noise the mean PSNR over the pictures, in dB, and the seconds that a picture takes, all on
the same noisy pictures and on however many threads each method uses. The classical methods of scikit-image are tuned on
each clean picture, which favours them. BM3D (the package ``bm3d``, whose licence is not a free one) is told the true
level; it has a row where the user has installed it. The network estimates the level itself.

A line is printed for every picture when it is done, and the table in the end.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from statistics import fmean
from typing import NamedTuple

import torch
from torch import Tensor

from benchmarks.report import table
from layerkit.data.dataset import Validation
from layerkit.data.pairs import seeded_generator
from layerkit.data.photographs import read_photograph
from layerkit.data.pictures import middle
from layerkit.denoising.baselines import BASELINES, BM3D, Baseline, fit_to_noise
from layerkit.denoising.blind import BlindDenoiser
from layerkit.denoising.bm3d import bm3d_is_installed
from layerkit.denoising.metrics import psnr
from layerkit.denoising.tuning import tune

PICTURES = (
    ("layerkit", "data/photos/china.jpg"),
    ("layerkit", "data/photos/flower.jpg"),
    ("matplotlib", "mpl-data/sample_data/grace_hopper.jpg"),
    ("skimage", "data/camera.png"),
    ("skimage", "data/coins.png"),
)
"""None of them is among those of the data set "variety"."""
SIDE = 256
SIGMAS = (15, 25, 50)


class Result(NamedTuple):
    """A picture after one method: (C, H, W), values from 0 to 255; its PSNR in dB, and the seconds that it took."""

    picture: Tensor
    decibels: float
    seconds: float


def compared(
    clean: Tensor, sigma: float, seed: int, networks: Mapping[str, BlindDenoiser], bm3d: bool = False
) -> dict[str, Result]:
    """Return what becomes of a picture with Gaussian noise, by the name of the method; the first one is "noisy".

    Args:
        clean: (C, H, W), values from 0 to 255.
        sigma: standard deviation of the noise.
        seed: of the noise.
        networks: by the names that they have in the result.
        bm3d: whether BM3D is among the classical methods.
    """
    noisy = clean + sigma * torch.randn(clean.shape, generator=seeded_generator(int(sigma), seed))
    results = {"noisy": Result(noisy, _decibels(noisy, clean), 0.0)}
    classical: tuple[Baseline, ...] = BASELINES
    tuned = tune(Validation(noisy[None] / 255, clean[None] / 255), classical)
    for method in [*tuned, *(fit_to_noise(sigma, [BM3D]) if bm3d else [])]:
        start = time.perf_counter()
        picture = method.apply(noisy[None] / 255)[0] * 255
        results[method.name] = Result(picture, _decibels(picture, clean), time.perf_counter() - start)
    for name, network in networks.items():
        start = time.perf_counter()
        picture = network.restore(noisy).pixels
        results[name] = Result(picture, _decibels(picture, clean), time.perf_counter() - start)
    return results


def _decibels(picture: Tensor, clean: Tensor) -> float:
    """Return the PSNR in dB of a picture (C, H, W), values from 0 to 255, cut off at both."""
    return psnr(picture[None].clamp(0, 255) / 255, clean[None] / 255).item()


def line(path: str, results: Mapping[str, Result]) -> str:
    """Return what is printed of one picture."""
    return f"{path}: " + ", ".join(f"{name} {result.decibels:.2f}" for name, result in results.items())


def main() -> None:
    """Measure, and print one table."""
    denoiser = BlindDenoiser.pretrained()
    networks = {"network": denoiser, "network, flips": BlindDenoiser(denoiser.denoiser, flips=True)}
    clean = [middle(read_photograph(*name), SIDE).float() for name in PICTURES]
    cells: dict[str, list[str]] = {}
    for sigma in SIGMAS:
        all_results = []
        for number, (picture, (_, path)) in enumerate(zip(clean, PICTURES, strict=True)):
            all_results.append(compared(picture, sigma, number, networks, bm3d_is_installed()))
            print(f"sigma {sigma}, {line(path, all_results[-1])}", flush=True)
        for name in all_results[0]:
            decibels = fmean(results[name].decibels for results in all_results)
            seconds = fmean(results[name].seconds for results in all_results)
            cells.setdefault(name, []).extend([f"{decibels:.2f}", f"{seconds:.1f}"])
    print(f"\nPSNR in dB and seconds a picture, {len(clean)} pictures of at most {SIDE} x {SIDE}\n")
    headers = ["method", *(text for sigma in SIGMAS for text in (f"sigma {sigma}", "s"))]
    print(table(headers, [[name, *values] for name, values in cells.items()]))


if __name__ == "__main__":
    main()
