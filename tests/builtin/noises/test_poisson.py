from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from scipy import stats

from layerkit import Poisson
from layerkit.builtin.noises.poisson import PoissonSpec


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(("peak", "value"), [(1.0, 0.3), (1.0, 1.0), (5.0, 0.9), (30.0, 0.5), (1000.0, 0.02)])
def test_counts_are_those_of_scipys_poisson_distribution(peak, value):
    photons = Poisson(peak).draw(torch.full((1, 1, 300, 300), value), generator()).flatten() * peak
    counts = photons.round()
    torch.testing.assert_close(counts, photons, rtol=1e-5, atol=1e-4)
    expected = stats.poisson(peak * value)
    low, high = int(expected.ppf(0.02)), int(expected.ppf(0.98))
    inside = [int((counts == count).sum()) for count in range(low, high + 1)]
    observed = [*inside, len(counts) - sum(inside)]
    probabilities = [*expected.pmf(range(low, high + 1))]
    assert stats.chisquare(observed, len(counts) * np.array([*probabilities, 1 - sum(probabilities)])).pvalue > 1e-4


def test_black_stays_black_and_bright_places_have_more_noise():
    values = torch.tensor([0.0, 0.25, 1.0]).view(3, 1, 1, 1).expand(3, 1, 400, 400)
    variances = Poisson(10.0).draw(values, generator()).var((1, 2, 3))
    torch.testing.assert_close(variances, torch.tensor([0.0, 0.025, 0.1]), rtol=0.03, atol=0)


def test_not_clipped():
    assert Poisson(5.0).draw(torch.ones(1, 1, 64, 64), generator()).max() > 1.5


def test_a_range_is_drawn_from_anew_for_every_picture():
    variances = Poisson((4.0, 20.0)).draw(torch.ones(400, 1, 60, 60), generator()).var((1, 2, 3))
    peaks = 1 / variances
    assert peaks.min() > 3.5
    assert peaks.max() < 22
    assert peaks.mean().item() == pytest.approx(12, abs=1)
    assert peaks.std().item() == pytest.approx(16 / 12**0.5, rel=0.1)


@pytest.mark.parametrize("peak", [0, 0.5, -1, 10_001, "30", [50, 1], True])
def test_peaks_that_are_refused(peak):
    match = r"a number from 1 to 10000, or a range of them such as \[1, 50\]"
    with pytest.raises(ValidationError, match=match):
        PoissonSpec.model_validate_json(json.dumps({"type": "poisson", "peak": peak}))
