"""No more is taken than there is noise."""

from __future__ import annotations

import pytest
import torch

from layerkit.denoising.budget import box_mean, within_budget


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_a_box_mean_is_that_of_every_window():
    values = torch.rand(2, 1, 7, 12, generator=generator())
    expected = torch.empty_like(values)
    for row in range(7):
        for column in range(12):
            window = values[..., max(0, row - 2) : row + 3, max(0, column - 2) : column + 3]
            expected[..., row, column] = window.mean((2, 3))
    torch.testing.assert_close(box_mean(values, 5), expected)


def test_where_only_noise_was_removed_all_of_it_is():
    clean = torch.full((1, 3, 64, 64), 100.0)
    noisy = clean + 10 * torch.randn(clean.shape, generator=generator())
    result = within_budget(noisy, clean, 10.0)
    assert (result - clean).square().mean() < 0.05 * 10**2
    assert torch.equal(within_budget(noisy, clean, 30.0).round(), clean)


def test_details_that_were_taken_for_noise_come_back_with_the_least_error():
    details, noise = torch.randn(2, 1, 3, 128, 128, generator=generator())
    details, noisy = 20 * details, 20 * details + 10 * noise
    blurred = torch.zeros_like(details)
    result = within_budget(noisy, blurred, 10.0)
    shares = torch.linspace(0, 1, 101)
    best = min((torch.lerp(noisy, blurred, share) - details).square().mean().item() for share in shares)
    assert (result - details).square().mean().item() == pytest.approx(best, rel=0.02)
    assert torch.equal(within_budget(noisy, noisy, 10.0), noisy)
