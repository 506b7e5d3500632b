from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from layerkit import ShapeError
from layerkit.builtin.layers.linear import Linear, LinearSpec


@settings(deadline=None, max_examples=40)
@given(n=st.integers(0, 4), features=st.tuples(st.integers(1, 8), st.integers(1, 8)), bias=st.booleans())
def test_agrees_with_torch(agree, n, features, bias):
    agree(Linear(*features, bias), torch.nn.Linear(*features, bias=bias), (n, features[0]))


def test_the_first_layer_may_leave_out_the_input_gradient():
    layer = Linear(3, 4)
    layer.needs_input_grad = False
    assert layer.backward(torch.ones_like(layer(torch.randn(2, 3)))) is None
    assert layer.bias_grad.tolist() == [2.0] * 4


def test_errors_say_what_fits():
    with pytest.raises(ShapeError, match=r'linear takes samples of features .* put \{"type": "flatten"\} before it'):
        LinearSpec(type="linear", out_features=3).output_shape((3, 8, 8))
    with pytest.raises(ShapeError, match=r"Linear: expected an input of \(N, 3\), not \(2, 4\)"):
        Linear(3, 4)(torch.zeros(2, 4))
