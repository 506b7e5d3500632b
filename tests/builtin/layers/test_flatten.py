from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from layerkit import ShapeError
from layerkit.builtin.layers.flatten import Flatten, FlattenSpec


@settings(deadline=None, max_examples=40)
@given(shape=st.lists(st.integers(0, 5), min_size=2, max_size=4).map(tuple))
def test_agrees_with_torch(agree, shape):
    assert FlattenSpec(type="flatten").output_shape(shape[1:]) == Flatten()(torch.zeros(shape)).shape[1:]
    agree(Flatten(), torch.nn.Flatten(), shape)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_returns_copies(layout):
    x, layer = torch.randn(2, 3, 4, 4).contiguous(memory_format=layout), Flatten()
    y = layer(x)
    assert torch.equal(y, torch.nn.Flatten()(x)) and y.data_ptr() != x.data_ptr()
    assert layer.backward(y).data_ptr() != y.data_ptr()


def test_errors_say_what_fits():
    with pytest.raises(ShapeError, match=r"Flatten: expected an input of \(N, ...\) with the batch first, not \(3,\)"):
        Flatten()(torch.zeros(3))
    with pytest.raises(ShapeError, match="flatten takes samples of at least one dimension, not single numbers"):
        FlattenSpec(type="flatten").output_shape(())
