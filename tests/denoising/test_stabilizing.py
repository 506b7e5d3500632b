"""Anscombe's transform, and the way back."""

from __future__ import annotations

import pytest
import torch

from layerkit.denoising.stabilizing import Stabilizer


@pytest.mark.parametrize("peak", [10.0, 30.0, 300.0])
def test_the_noise_is_the_same_everywhere_and_the_way_back_is_right_on_average(peak):
    clean = torch.tensor([40.0, 80.0, 160.0, 255.0], dtype=torch.float64)[:, None].repeat(1, 200_000)
    noisy = torch.poisson(clean * peak / 255, generator=torch.Generator().manual_seed(0)) * 255 / peak
    stabilizer = Stabilizer(peak)
    stabilized = stabilizer.stabilize(noisy)
    enough = clean[:, 0] * peak / 255 > 4  # with fewer photons no transform can
    deviations = stabilized.std(1)[enough] / stabilizer.level
    assert deviations.tolist() == pytest.approx([1] * len(deviations), rel=0.06)
    restored = stabilizer.restore(stabilized.mean(1))
    assert restored.tolist() == pytest.approx(clean[:, 0].tolist(), rel=0.01)


def test_black_and_white_are_the_ends():
    stabilizer = Stabilizer(20.0)
    assert stabilizer.stabilize(torch.tensor([0.0, 255.0])).tolist() == pytest.approx([0, 255], abs=1e-3)
    assert stabilizer.restore(torch.tensor([-50.0]))[0] >= 0
