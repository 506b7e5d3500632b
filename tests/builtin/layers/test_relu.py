from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from layerkit import ReLU


@settings(deadline=None, max_examples=40)
@given(shape=st.lists(st.integers(0, 5), min_size=1, max_size=4).map(tuple))
def test_agrees_with_torch(agree, shape):
    agree(ReLU(), torch.nn.ReLU(), shape)


def test_at_zero_there_is_no_gradient():
    layer = ReLU()
    layer(torch.tensor([[-1.0, 0.0, 2.0, float("inf")]]))
    assert layer.backward(torch.full((1, 4), 3.0)).tolist() == [[0.0, 0.0, 3.0, 3.0]]
