from __future__ import annotations

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from layerkit import ShapeError
from layerkit.builtin.layers.avg_pool2d import AvgPool2d, AvgPool2dSpec

KERNEL = st.tuples(st.integers(1, 4), st.integers(1, 4))


@settings(deadline=None, max_examples=80)
@given(
    shape=st.tuples(st.integers(0, 3), st.integers(1, 4), st.integers(1, 8), st.integers(1, 8)),
    kernel=KERNEL,
    stride=st.none() | KERNEL,
    padding=st.tuples(st.integers(0, 2), st.integers(0, 2)),
)
def test_agrees_with_torch(agree, shape, kernel, stride, padding):
    assume(all(2 * padding[i] <= kernel[i] <= shape[2 + i] + 2 * padding[i] for i in range(2)))
    agree(AvgPool2d(kernel, stride, padding), torch.nn.AvgPool2d(kernel, stride, padding), shape)


def test_windows_of_one_pixel_return_copies():
    x, layer = torch.randn(1, 2, 3, 3), AvgPool2d(1)
    y = layer(x)
    assert torch.equal(y, x) and y.data_ptr() != x.data_ptr()
    assert layer.backward(x).data_ptr() != x.data_ptr()


def test_errors_say_what_fits():
    with pytest.raises(
        ShapeError, match="kernel_size 3x3 does not fit an input of 2x2; pad it or use a smaller kernel"
    ):
        AvgPool2d(3)(torch.zeros(1, 1, 2, 2))
    with pytest.raises(ShapeError, match="padding 2x2 is more than half of kernel_size 3x3"):
        AvgPool2dSpec(type="avg_pool2d", kernel_size=3, padding=2).output_shape((1, 9, 9))
