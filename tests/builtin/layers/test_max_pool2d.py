from __future__ import annotations

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from layerkit import ShapeError
from layerkit.builtin.layers.max_pool2d import MaxPool2d, MaxPool2dSpec

SHAPES = st.tuples(st.integers(0, 3), st.integers(1, 4), st.integers(1, 8), st.integers(1, 8))
KERNEL = st.tuples(st.integers(1, 4), st.integers(1, 4))
PADDING = st.tuples(st.integers(0, 2), st.integers(0, 2))


def fits(shape, kernel, padding):
    return all(2 * padding[i] <= kernel[i] <= shape[2 + i] + 2 * padding[i] for i in range(2))


@settings(deadline=None, max_examples=80)
@given(shape=SHAPES, kernel=KERNEL, stride=st.none() | KERNEL, padding=PADDING)
def test_agrees_with_torch(agree, shape, kernel, stride, padding):
    assume(fits(shape, kernel, padding))
    agree(MaxPool2d(kernel, stride, padding), torch.nn.MaxPool2d(kernel, stride, padding), shape)


@settings(deadline=None, max_examples=80)
@given(shape=SHAPES, kernel=KERNEL, stride=KERNEL, padding=PADDING, seed=st.integers(0, 2**32 - 1))
def test_of_equal_values_the_first_wins_as_in_torch(shape, kernel, stride, padding, seed):
    assume(fits(shape, kernel, padding))
    generator = torch.Generator().manual_seed(seed)
    # Infinities are values like others; minus infinity is what stands in the padding, and there torch keeps within.
    values = torch.tensor([0.0, 1.0, 2.0, float("inf")] + ([float("-inf")] if padding == (0, 0) else []))
    x = values[torch.randint(len(values), shape, generator=generator)]
    layer = MaxPool2d(kernel, stride, padding)
    y = layer(x)
    grad_output = torch.randn(y.shape, generator=generator)
    leaf = x.clone().requires_grad_()
    expected = torch.nn.functional.max_pool2d(leaf, kernel, stride, padding)
    expected.backward(grad_output)
    assert torch.equal(y, expected)
    torch.testing.assert_close(layer.backward(grad_output), leaf.grad)


def test_windows_of_one_pixel_return_copies():
    x, layer = torch.randn(1, 2, 3, 3), MaxPool2d(1)
    y = layer(x)
    assert torch.equal(y, x) and y.data_ptr() != x.data_ptr()
    assert layer.backward(x).data_ptr() != x.data_ptr()


def test_what_is_no_number_is_not_hidden():
    assert MaxPool2d(2)(torch.tensor([[[[1.0, float("nan")], [2.0, 3.0]]]])).isnan().all()


def test_errors_say_what_fits():
    with pytest.raises(
        ShapeError, match="kernel_size 3x3 does not fit an input of 2x2; pad it or use a smaller kernel"
    ):
        MaxPool2d(3)(torch.zeros(1, 1, 2, 2))
    with pytest.raises(ShapeError, match="padding 2x2 is more than half of kernel_size 3x3"):
        MaxPool2dSpec(type="max_pool2d", kernel_size=3, padding=2).output_shape((1, 9, 9))
    with pytest.raises(ShapeError, match=r"MaxPool2d: expected an input of \(N, C, H, W\)"):
        MaxPool2d(2)(torch.zeros(2, 2))
