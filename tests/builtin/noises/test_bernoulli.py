from __future__ import annotations

import pytest
import torch
from scipy import stats

from layerkit import Bernoulli


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pictures(*shape: int) -> torch.Tensor:
    return 0.1 + 0.9 * torch.rand(shape, generator=generator(1))


@pytest.mark.parametrize("probability", [0.0, 0.1, 0.5, 0.99])
def test_pixels_are_missing_as_often_as_a_binomial_distribution_has_it(probability):
    source = pictures(4, 3, 100, 100)
    drawn = Bernoulli(probability).draw(source, generator())
    missing = drawn == 0
    assert torch.equal(missing, missing[:, :1].expand_as(missing))  # of all channels together
    assert torch.equal(drawn[~missing], source[~missing])
    count = int(missing[:, 0].sum())
    low, high = stats.binom(40_000, probability).ppf([1e-4, 1 - 1e-4]) if probability else (0, 0)
    assert low <= count <= high


def test_neighbours_are_missing_independently():
    missing = (Bernoulli(0.3).draw(torch.ones(1, 1, 400, 400), generator())[0, 0] == 0).double()
    for one, other in ((missing[:, 1:], missing[:, :-1]), (missing[1:], missing[:-1])):
        both = (one * other).mean().item()
        assert both == pytest.approx(0.09, abs=5 * (0.09 * 0.91) ** 0.5 / 400 * 1.5)


def test_a_target_has_no_number_where_a_draw_has_zero():
    source = pictures(5, 3, 20, 20)
    noise = Bernoulli((0.2, 0.9))
    drawn, target = noise.draw(source, generator()), noise.target(source, generator())
    assert torch.equal(target.isnan(), drawn == 0)
    assert torch.equal(target.nan_to_num(), drawn)
    assert not torch.equal(noise.target(source, generator(1)).isnan(), target.isnan())


def test_a_range_is_drawn_from_anew_for_every_picture():
    missing = (Bernoulli((0.2, 0.8)).draw(torch.ones(400, 1, 60, 60), generator()) == 0).double().mean((1, 2, 3))
    assert missing.min() > 0.15
    assert missing.max() < 0.85
    assert missing.mean().item() == pytest.approx(0.5, abs=0.04)
    assert missing.std().item() == pytest.approx(0.6 / 12**0.5, rel=0.1)
