"""The network inside layerkit beside classical methods, on pictures that it has not seen: ``make quality``.

For each level of Gaussian noise the mean PSNR over the pictures, in dB, and the seconds that a picture takes, all on
the same noisy pictures and on however many threads each method uses. The classical methods of scikit-image are tuned on
each clean picture, which favours them. BM3D (the package ``bm3d``, whose licence is not a free one) is told the true
level; it has a row where the user has installed it. The network estimates the level itself.

A line is printed for every picture when it is done, and the table in the end.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import fmean

import torch
from torch import Tensor

from benchmarks.report import table
from layerkit.data.dataset import Validation
from layerkit.data.pairs import seeded_generator
from layerkit.data.photographs import read_photograph
from layerkit.data.pictures import middle
from layerkit.denoising.baselines import BM3D, Tuned, fit_to_noise
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
SIDE = 384
SIGMAS = (15, 25, 50)

Method = Callable[[Tensor], Tensor]
"""From a noisy picture (C, H, W), values from 0 to 255, to the denoised one."""


def methods_for(noisy: Tensor, clean: Tensor, sigma: float) -> dict[str, Method]:
    """Return all methods by name, ready for one picture (C, H, W), values from 0 to 255."""
    classical = tune(Validation(noisy[None] / 255, clean[None] / 255))
    if bm3d_is_installed():
        classical += fit_to_noise(sigma, [BM3D])
    return {
        "noisy": lambda picture: picture,
        **{tuned.name: _applied(tuned) for tuned in classical},
        "network": lambda picture: BlindDenoiser.pretrained().restore(picture).pixels,
        "network, flips": lambda picture: BlindDenoiser.pretrained(flips=True).restore(picture).pixels,
    }


def _applied(tuned: Tuned) -> Method:
    return lambda picture: tuned.apply(picture[None] / 255)[0] * 255


def decibels_of(picture: Tensor, clean: Tensor) -> float:
    """Return the PSNR in dB of a picture (C, H, W), values from 0 to 255, cut off at both."""
    return psnr(picture[None].clamp(0, 255) / 255, clean[None] / 255).item()


def main() -> None:
    """Measure, and print one table."""
    clean = [middle(read_photograph(*name), SIDE).float() for name in PICTURES]
    columns: dict[str, list[str]] = {}
    for sigma in SIGMAS:
        reached: dict[str, list[tuple[float, float]]] = {}
        for number, (picture, (_, path)) in enumerate(zip(clean, PICTURES, strict=True)):
            noisy = picture + sigma * torch.randn(picture.shape, generator=seeded_generator(sigma, number))
            for name, method in methods_for(noisy, picture, sigma).items():
                start = time.perf_counter()
                result = method(noisy)
                seconds = time.perf_counter() - start
                reached.setdefault(name, []).append((decibels_of(result, picture), seconds))
            done = ", ".join(f"{name} {values[-1][0]:.2f}" for name, values in reached.items())
            print(f"sigma {sigma}, {path}: {done}", flush=True)
        for name, values in reached.items():
            decibels, seconds = (fmean(column) for column in zip(*values, strict=True))
            columns.setdefault(name, []).extend([f"{decibels:.2f}", f"{seconds:.1f}"])
    print(f"\nPSNR in dB and seconds a picture, {len(clean)} pictures of at most {SIDE} x {SIDE}\n")
    headers = ["method", *(text for sigma in SIGMAS for text in (f"sigma {sigma}", "s"))]
    print(table(headers, [[name, *cells] for name, cells in columns.items()]))


if __name__ == "__main__":
    main()
