from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from layerkit import Impulse
from layerkit.builtin.noises.impulse import ImpulseSpec


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("probability", [0.0, 0.2, 0.7])
def test_pixels_are_replaced_as_often_as_a_binomial_distribution_has_it(probability):
    source = torch.full((4, 3, 100, 100), 2.0)  # which no colour is
    drawn = Impulse(probability).draw(source, generator())
    replaced = drawn != 2
    assert torch.equal(replaced, replaced[:, :1].expand_as(replaced))  # in all channels together
    low, high = stats.binom(40_000, probability).ppf([1e-4, 1 - 1e-4]) if probability else (0, 0)
    assert low <= int(replaced[:, 0].sum()) <= high


def test_colours_are_uniform_and_their_channels_independent():
    drawn = Impulse(0.5).draw(torch.full((1, 3, 200, 200), 2.0), generator())
    colours = drawn[:, :, (drawn[0, 0] != 2)][0].double().numpy()
    for channel in colours:
        assert stats.kstest(channel, "uniform").pvalue > 1e-4
    correlations = np.corrcoef(colours)[np.triu_indices(3, 1)]
    assert (abs(correlations) < 5 / colours.shape[1] ** 0.5).all()


def test_the_median_is_the_clean_picture_to_a_half_and_the_mean_is_not():
    source = torch.tensor([0.0, 0.1, 0.5, 0.9, 1.0]).view(1, 1, 1, 5).expand(20_000, 1, 1, 5)
    drawn = Impulse(0.45).draw(source, generator())
    torch.testing.assert_close(drawn.median(0).values, source[0])
    torch.testing.assert_close(drawn.mean(0), 0.55 * source[0] + 0.45 * 0.5, rtol=0, atol=0.01)
    assert not ImpulseSpec.unbiased


def test_beyond_a_half_the_clean_picture_is_the_most_frequent_value_still():
    drawn = Impulse(0.9).draw(torch.full((1, 1, 300, 300), 0.8), generator()).flatten()
    values, counts = drawn.unique(return_counts=True)
    assert values[counts.argmax()].item() == pytest.approx(0.8)
    assert drawn.median().item() < 0.75
