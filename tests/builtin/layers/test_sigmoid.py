from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from layerkit import Sigmoid


@settings(deadline=None, max_examples=40)
@given(shape=st.lists(st.integers(0, 5), min_size=1, max_size=4).map(tuple))
def test_agrees_with_torch(agree, shape):
    agree(Sigmoid(), torch.nn.Sigmoid(), shape)


def test_stays_finite_far_out():
    layer = Sigmoid()
    assert layer(torch.tensor([[-1e4, -100.0, 100.0, 1e4]])).isfinite().all()
    assert layer.backward(torch.ones(1, 4)).isfinite().all()
