from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from layerkit.builtin.losses.annealed_l0 import AnnealedL0

PROGRESS = st.sampled_from([0.0, 0.1, 0.5, 0.6, 0.9, 1.0])


def at(progress: float, **options: float) -> AnnealedL0:
    loss = AnnealedL0(**options)
    loss.progress = progress
    return loss


def paper(prediction: Tensor, target: Tensor, progress: float, eps: float) -> Tensor:
    return ((prediction - target).abs() + eps).pow(2 * (1 - progress)).mean()


@settings(deadline=None, max_examples=100)
@given(
    shape=st.lists(st.integers(1, 5), min_size=1, max_size=4).map(tuple),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    progress=PROGRESS,
    eps=st.sampled_from([1e-8, 0.1]),
    seed=st.integers(0, 2**32 - 1),
)
def test_without_the_straight_line_it_is_the_paper_s_and_its_gradient_autograd_s(shape, dtype, progress, eps, seed):
    prediction, target = torch.randn(2, *shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))
    leaf = prediction.clone().requires_grad_()
    expected = paper(leaf, target, progress, eps)
    expected.backward()
    loss = at(progress, eps=eps, linear_below=0.0)
    torch.testing.assert_close(loss(prediction, target), expected.detach())
    torch.testing.assert_close(loss.backward(), leaf.grad, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("progress", [0.0, 0.5])
def test_for_gamma_of_1_and_more_there_is_no_straight_line(progress):
    prediction = torch.linspace(-0.1, 0.1, 50, dtype=torch.float64)
    target = torch.zeros_like(prediction)
    loss = at(progress, linear_below=0.05)
    torch.testing.assert_close(loss(prediction, target), paper(prediction, target, progress, 1e-8))


@pytest.mark.parametrize("progress", [0.55, 0.75, 0.95])
def test_the_straight_line_is_the_tangent(progress):
    def value(d: float) -> float:
        return at(progress, linear_below=0.1)(torch.tensor([d], dtype=torch.float64), torch.zeros(1).double()).item()

    def slope(d: float) -> float:
        loss = at(progress, linear_below=0.1)
        loss(torch.tensor([d], dtype=torch.float64), torch.zeros(1, dtype=torch.float64))
        return loss.backward().item()

    gamma = 2 * (1 - progress)
    assert value(0.1) == pytest.approx(0.1**gamma, rel=1e-6)
    assert slope(0.1) == pytest.approx(gamma * 0.1 ** (gamma - 1), rel=1e-6)
    assert slope(0.01) == slope(1e-6) == pytest.approx(slope(0.1), rel=1e-6)
    assert value(0.04) == pytest.approx(value(0.1) - 0.06 * slope(0.1), rel=1e-6)


def test_the_gradient_is_bounded_where_the_paper_s_is_not():
    prediction, target = torch.full((1,), 1e-9), torch.zeros(1)
    for options, bound in (({}, 17), ({"linear_below": 0.0}, 2e6)):
        slopes = []
        for step in range(200):
            loss = at(step / 200, **options)
            loss(prediction, target)
            slopes.append(loss.backward().item())
        assert bound / 2 < max(slopes) < bound


def test_it_goes_from_the_mean_over_the_median_to_the_mode():
    generator = torch.Generator().manual_seed(0)
    others = 0.5 + 0.5 * torch.rand(65, generator=generator, dtype=torch.float64)
    targets = torch.cat([torch.full((35,), 0.2, dtype=torch.float64), others])
    predictions = torch.linspace(0, 1, 1001, dtype=torch.float64)

    def best(progress: float) -> float:
        loss = at(progress)
        losses = torch.stack([loss(prediction.expand(100), targets) for prediction in predictions])
        return predictions[losses.argmin()].item()

    assert best(0.0) == pytest.approx(targets.mean().item(), abs=1e-3)
    assert best(0.5) == pytest.approx(targets.quantile(0.5).item(), abs=0.01)
    assert best(0.95) == pytest.approx(0.2, abs=1e-3)


def test_the_gradient_is_that_of_the_progress_in_forward():
    loss = at(0.25)
    loss(torch.ones(1), torch.zeros(1))
    loss.progress = 0.75
    assert loss.backward().item() == pytest.approx(1.5)


def test_the_loss_of_nothing_is_zero():
    loss = at(0.75)
    assert loss(torch.zeros(0, 3), torch.zeros(0, 3)) == 0
    assert loss.backward().shape == (0, 3)
