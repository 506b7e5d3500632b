from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from layerkit import MSE, ShapeError, StateError


@settings(deadline=None, max_examples=50)
@given(
    shape=st.lists(st.integers(1, 5), min_size=1, max_size=4).map(tuple),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    autograd=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_agrees_with_torch(shape, dtype, autograd, seed):
    generator = torch.Generator().manual_seed(seed)
    prediction, target = torch.randn(2, *shape, dtype=dtype, generator=generator)
    leaf = prediction.clone().requires_grad_()
    expected = torch.nn.functional.mse_loss(leaf, target)
    expected.backward()
    with torch.set_grad_enabled(autograd):
        loss = MSE()
        value, gradient = loss(prediction, target), loss.backward()
    assert value.shape == () and not value.requires_grad and value.dtype == dtype
    torch.testing.assert_close(value, expected.detach())
    torch.testing.assert_close(gradient, leaf.grad)


def test_the_loss_of_nothing_is_zero():
    loss = MSE()
    assert loss(torch.zeros(0, 3), torch.zeros(0, 3)) == 0
    assert loss.backward().shape == (0, 3)


def test_errors_say_what_is_wrong():
    with pytest.raises(ShapeError, match=r"MSE: prediction \(2, 3\) and target \(3,\) must have the same shape"):
        MSE()(torch.zeros(2, 3), torch.zeros(3))
    with pytest.raises(StateError, match="MSE: backward before forward"):
        MSE().backward()
