"""Wiener's filter on groups of windows that look alike."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from layerkit.denoising.collaborative import GROUP, REACH, SEARCH, STEP, WINDOW, collaborative


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def tiles(channels: int, height: int, width: int) -> Tensor:
    """Return a wall of tiles, whose values go from 0 to 255."""
    down, across = torch.arange(height)[:, None], torch.arange(width)
    edges = ((down % 8 < 2) | ((across + 5 * (down // 8)) % 10 < 2)).float()
    shades = torch.linspace(150, 200, channels)[:, None, None]
    return shades * (1 - 0.7 * edges) + 0.2 * down


def psnr(picture: Tensor, clean: Tensor) -> float:
    return -10 * math.log10((picture - clean).square().mean().item() / 255**2)


def by_loops(noisy: Tensor, estimate: Tensor, level: float) -> Tensor:
    """Return what the formula says, window by window: the definition that the fast code is compared with."""
    channels, height, width = noisy.shape

    def cosine(length: int) -> Tensor:
        rows = [[math.cos(math.pi / length * k * (n + 0.5)) for n in range(length)] for k in range(length)]
        matrix = torch.tensor(rows, dtype=torch.float64) * math.sqrt(2 / length)
        matrix[0] /= math.sqrt(2)
        return matrix

    colours, inside = cosine(channels), cosine(WINDOW)
    z, p = (torch.einsum("dc,chw->dhw", colours, picture.double()) for picture in (noisy, estimate))
    total, weights = torch.zeros_like(z), torch.zeros(height, width, dtype=torch.float64)
    taper = torch.kaiser_window(WINDOW, periodic=False, beta=2.0, dtype=torch.float64)
    taper = taper[:, None] * taper

    def window(picture: Tensor, top: int, left: int) -> Tensor:
        return picture[:, top : top + WINDOW, left : left + WINDOW]

    for top in range(0, height - WINDOW + 1, STEP):
        for left in range(0, width - WINDOW + 1, STEP):
            there = [
                (top + down, left + across)
                for down in range(-SEARCH, SEARCH + 1)
                for across in range(-SEARCH, SEARCH + 1)
                if 0 <= top + down <= height - WINDOW and 0 <= left + across <= width - WINDOW
            ]
            reference = window(p, top, left)[0]
            there.sort(key=lambda at: (window(p, *at)[0] - reference).square().sum().item() - (at == (top, left)))
            group = there[:GROUP]
            transform = "kg,ia,jb,gcab->kcij", cosine(len(group)), inside, inside
            noise, energy = (
                torch.einsum(*transform, torch.stack([window(picture, *at) for at in group])) for picture in (z, p)
            )
            factor = energy.square() / (energy.square() + level**2)
            back = "kg,ia,jb,kcij->gcab", cosine(len(group)), inside, inside
            weight = 1 / factor.square().sum()
            for at, filtered in zip(group, torch.einsum(*back, noise * factor), strict=True):
                window(total, *at).add_(weight * taper * filtered)
                window(weights[None], *at).add_(weight * taper)
    return torch.einsum("dc,dhw->chw", colours, total / weights)


@pytest.mark.parametrize("channels", [1, 3])
def test_it_is_what_the_formula_says(channels):
    clean = tiles(channels, 20, 28)
    noisy = clean + 20 * torch.randn(clean.shape, generator=generator())
    estimate = clean + 6 * torch.randn(clean.shape, generator=generator().manual_seed(1))
    torch.testing.assert_close(
        collaborative(noisy, estimate, 20.0).double(), by_loops(noisy, estimate, 20.0), rtol=0, atol=1e-2
    )


def test_patterns_that_repeat_come_out_of_a_poor_estimate():
    clean = tiles(3, 64, 80)
    noisy = clean + 25 * torch.randn(clean.shape, generator=generator())
    blurred = avg_pool2d(clean[None], 3, 1, 1, count_include_pad=False)[0]
    assert psnr(collaborative(noisy, blurred, 25.0), clean) > max(psnr(noisy, clean), psnr(blurred, clean)) + 3


def test_without_noise_the_picture_stays():
    clean = tiles(3, 33, 41)
    torch.testing.assert_close(collaborative(clean, clean, 0.01), clean, rtol=0, atol=0.01)


@pytest.mark.parametrize("size", [(1, 1), (3, 9), (8, 8), (9, 30), (13, 8)])
def test_any_size(size):
    noisy = 100 + 20 * torch.randn(3, *size, generator=generator())
    result = collaborative(noisy, torch.full_like(noisy, 100), 20.0)
    assert result.shape == noisy.shape
    # Beside the mean of each window nothing is left.
    assert (result - 100).square().mean() < (noisy - 100).square().mean()


def test_what_is_farther_away_than_the_reach_does_not_matter():
    clean = tiles(3, 144, 20)
    noisy = clean + 20 * torch.randn(clean.shape, generator=generator())
    estimate = clean + 6 * torch.randn(clean.shape, generator=generator().manual_seed(1))
    whole, part = collaborative(noisy, estimate, 20.0), collaborative(noisy[:, 40:], estimate[:, 40:], 20.0)
    different = ((whole[:, 40:] - part).abs() > 1e-3).any(0).any(1).nonzero()
    assert different.numel()
    assert different.max() < REACH


def test_threads_change_no_bit():
    clean = tiles(3, 64, 64)
    noisy = clean + 20 * torch.randn(clean.shape, generator=generator())
    threads, results = torch.get_num_threads(), []
    try:
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            results.append(collaborative(noisy, clean, 20.0))
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(result, results[0]) for result in results)
