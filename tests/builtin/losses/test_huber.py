from __future__ import annotations

import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from layerkit import Huber, ShapeError
from layerkit.builtin.losses.huber import HuberSpec


@settings(deadline=None, max_examples=50)
@given(
    shape=st.lists(st.integers(1, 5), min_size=1, max_size=4).map(tuple),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    delta=st.sampled_from([0.001, 0.1, 1.0, 1000.0]),
    seed=st.integers(0, 2**32 - 1),
)
def test_agrees_with_torch(shape, dtype, delta, seed):
    generator = torch.Generator().manual_seed(seed)
    prediction, target = torch.randn(2, *shape, dtype=dtype, generator=generator).round(decimals=1)
    leaf = prediction.clone().requires_grad_()
    expected = torch.nn.functional.huber_loss(leaf, target, delta=delta)
    expected.backward()
    loss = Huber(delta)
    torch.testing.assert_close(loss(prediction, target), expected.detach())
    torch.testing.assert_close(loss.backward(), leaf.grad)


def test_the_loss_of_nothing_is_zero():
    loss = Huber()
    assert loss(torch.zeros(0, 3), torch.zeros(0, 3)) == 0
    assert loss.backward().shape == (0, 3)


@pytest.mark.parametrize("delta", [0, -1, 1001, "1", True, None])
def test_deltas_that_are_refused(delta):
    with pytest.raises(ValidationError):
        HuberSpec.model_validate_json(json.dumps({"type": "huber", "delta": delta}))


def test_another_shape_is_refused():
    with pytest.raises(ShapeError, match=r"Huber: prediction \(2, 3\) and target \(3,\) must have the same shape"):
        Huber()(torch.zeros(2, 3), torch.zeros(3))
