from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from layerkit import L1, ShapeError


@settings(deadline=None, max_examples=50)
@given(
    shape=st.lists(st.integers(1, 5), min_size=1, max_size=4).map(tuple),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    seed=st.integers(0, 2**32 - 1),
)
def test_agrees_with_torch(shape, dtype, seed):
    generator = torch.Generator().manual_seed(seed)
    prediction, target = torch.randn(2, *shape, dtype=dtype, generator=generator).round(decimals=1)  # some are equal
    leaf = prediction.clone().requires_grad_()
    expected = torch.nn.functional.l1_loss(leaf, target)
    expected.backward()
    loss = L1()
    torch.testing.assert_close(loss(prediction, target), expected.detach())
    torch.testing.assert_close(loss.backward(), leaf.grad)


def test_where_prediction_and_target_are_equal_nothing_pulls():
    loss = L1()
    assert loss(torch.ones(2, 3), torch.ones(2, 3)) == 0
    assert not loss.backward().any()


def test_it_is_smallest_at_the_median():
    targets = torch.tensor([0.1, 0.2, 0.3, 5.0, 9.0])
    values = torch.linspace(0, 10, 1001)
    losses = torch.stack([L1()(value.expand(5), targets) for value in values])
    assert values[losses.argmin()].item() == pytest.approx(0.3)


def test_the_loss_of_nothing_is_zero():
    loss = L1()
    assert loss(torch.zeros(0, 3), torch.zeros(0, 3)) == 0
    assert loss.backward().shape == (0, 3)


def test_another_shape_is_refused():
    with pytest.raises(ShapeError, match=r"L1: prediction \(2, 3\) and target \(3,\) must have the same shape"):
        L1()(torch.zeros(2, 3), torch.zeros(3))
