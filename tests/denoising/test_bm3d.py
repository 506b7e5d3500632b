"""How pictures are handed to BM3D; a package of that name which does something simple stands in for it."""

from __future__ import annotations

import sys
from types import ModuleType

import numpy as np
import pytest

from layerkit.denoising.bm3d import MARGIN, SHEET_PIXELS, bm3d


@pytest.fixture
def seen(monkeypatch) -> list[tuple[int, ...]]:
    """Install a package that takes the mean of each pixel and the one at its right; return the shapes it is given."""
    shapes = []

    def denoise(picture: np.ndarray, sigma: float) -> np.ndarray:
        assert sigma == 0.1
        assert picture.dtype == np.float64
        shapes.append(picture.shape)
        return (picture + np.roll(picture, -1, 1)) / 2

    package = ModuleType("bm3d")
    package.bm3d = package.bm3d_rgb = denoise
    monkeypatch.setitem(sys.modules, "bm3d", package)
    return shapes


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "shape", [(0, 3, 8, 8), (1, 3, 1, 1), (1, 1, 40, 30), (5, 3, 9, 12), (3, 2, 8, 8), (64, 1, 32, 32)]
)
def test_each_picture_comes_out_as_if_it_were_alone(seen, shape, dtype):
    pictures = np.random.default_rng(0).random(shape).astype(dtype)
    denoised = bm3d(pictures, 0.1)
    assert (denoised.shape, denoised.dtype) == (shape, dtype)
    mirrored = np.concatenate([pictures, pictures[..., -1:]], -1)
    np.testing.assert_allclose(denoised, (mirrored[..., 1:] + mirrored[..., :-1]) / 2, rtol=1e-6)


def test_small_pictures_lie_on_a_sheet_and_a_large_one_alone(seen):
    bm3d(np.zeros((1000, 3, 32, 32), np.float32), 0.1)
    side = 32 + 2 * MARGIN
    assert len(seen) == -(-1000 // (SHEET_PIXELS // side**2))
    assert all(height % side == width % side == 0 and channels == 3 for height, width, channels in seen)
    assert 1 / 2 < seen[0][0] / seen[0][1] <= 1
    seen.clear()
    bm3d(np.zeros((2, 1, 1000, 1500), np.float32), 0.1)
    assert seen == [(1000 + 2 * MARGIN, 1500 + 2 * MARGIN)] * 2


def test_what_it_gives_no_number_for_stays(monkeypatch, seen):
    package = sys.modules["bm3d"]
    package.bm3d = lambda picture, sigma: picture / (picture - picture)
    pictures = np.full((2, 1, 8, 8), 0.5)
    np.testing.assert_array_equal(bm3d(pictures, 0.1), pictures)
