"""The network inside layerkit beside classical methods, on pictures that it has not seen: ``make quality``.

For each level of Gaussian noise the mean PSNR over the pictures, in dB, and the seconds that a picture takes, all on
the same noisy pictures and on however many threads each method uses. The classical methods of scikit-image are tuned on
the clean pictures, which favours them. BM3D (the package ``bm3d``, whose licence is not a free one) is told the true
level; it has a row where the user has installed it. The network estimates the level itself.
"""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from layerkit.data.pairs import seeded_generator
from layerkit.data.photographs import read_photograph
from layerkit.data.pictures import middle
from layerkit.denoising.baselines import BASELINES, Tuned, tune
from layerkit.denoising.blind import BlindDenoiser
from layerkit.denoising.metrics import psnr

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

Method = Callable[[Tensor, float], Tensor]
"""From a noisy picture (C, H, W), values from 0 to 255, and the level of its noise to the denoised one."""


def decibels_of(picture: Tensor, clean: Tensor) -> float:
    """Return the PSNR in dB of a picture (C, H, W), values from 0 to 255, cut off at both."""
    return psnr(picture[None].clamp(0, 255) / 255, clean[None] / 255).item()


def _network(flips: bool) -> Method:
    denoiser = BlindDenoiser.pretrained(flips=flips)
    return lambda noisy, sigma: denoiser.restore(noisy).pixels


def _tuned(tuned: Tuned) -> Method:
    return lambda noisy, sigma: tuned.apply(noisy[None] / 255)[0] * 255


def _bm3d(bm3d: Any) -> Method:
    def method(noisy: Tensor, sigma: float) -> Tensor:
        values = noisy.permute(1, 2, 0).double().numpy() / 255
        denoise = bm3d.bm3d_rgb if values.shape[2] == 3 else bm3d.bm3d
        denoised = np.asarray(denoise(values.squeeze(), sigma / 255)).reshape(values.shape)
        return torch.from_numpy(denoised).permute(2, 0, 1).float() * 255

    return method


def main() -> None:
    """Measure, and print one table."""
    clean = [middle(read_photograph(*name), SIDE).float() for name in PICTURES]
    networks: dict[str, Method] = {"network": _network(False), "network, flips": _network(True)}
    if importlib.util.find_spec("bm3d") is not None:
        networks["BM3D"] = _bm3d(importlib.import_module("bm3d"))
    rows: dict[str, list[str]] = {}
    for sigma in SIGMAS:
        noisy = [
            picture + sigma * torch.randn(picture.shape, generator=seeded_generator(sigma, number))
            for number, picture in enumerate(clean)
        ]
        reached: dict[str, list[tuple[float, float]]] = {
            "noisy": [(decibels_of(x, y), 0.0) for x, y in zip(noisy, clean, strict=True)]
        }
        for x, y in zip(noisy, clean, strict=True):
            classical = {tuned.name: _tuned(tuned) for tuned in tune(x[None] / 255, y[None] / 255, BASELINES)}
            for name, method in (classical | networks).items():
                start = time.perf_counter()
                result = method(x, sigma)
                seconds = time.perf_counter() - start
                reached.setdefault(name, []).append((decibels_of(result, y), seconds))
        for name, values in reached.items():
            decibels, seconds = (sum(column) / len(values) for column in zip(*values, strict=True))
            rows.setdefault(name, []).extend([f"{decibels:.2f}", f"{seconds:.1f}"])
    table = Table(title=f"PSNR in dB and seconds a picture, {len(clean)} pictures of at most {SIDE} x {SIDE}")
    table.add_column("method")
    for sigma in SIGMAS:
        table.add_column(f"sigma {sigma}", justify="right")
        table.add_column("s", justify="right")
    for name, cells in rows.items():
        table.add_row(name, *cells)
    Console().print(table)


if __name__ == "__main__":
    main()
