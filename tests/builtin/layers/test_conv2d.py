from __future__ import annotations

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from layerkit import Conv2d, ShapeError, StateError
from layerkit.builtin.layers.conv2d import Conv2dSpec, plain_backward, plain_forward

PAIR = st.tuples(st.integers(1, 3), st.integers(1, 3))
PADDING = st.tuples(st.integers(0, 2), st.integers(0, 2))


@settings(deadline=None, max_examples=60)
@given(
    n=st.integers(0, 3),
    channels=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    size=st.tuples(st.integers(1, 8), st.integers(1, 8)),
    kernel=PAIR,
    stride=PAIR,
    padding=PADDING,
    dilation=PAIR,
    bias=st.booleans(),
)
def test_agrees_with_torch(agree, n, channels, size, kernel, stride, padding, dilation, bias):
    assume(all(size[i] + 2 * padding[i] > dilation[i] * (kernel[i] - 1) for i in range(2)))
    arguments = (*channels, kernel, stride, padding, dilation)
    layer = Conv2d(*arguments, bias)
    agree(layer, torch.nn.Conv2d(*arguments, bias=bias), (n, channels[0], *size))


@settings(deadline=None, max_examples=40)
@given(
    n=st.integers(0, 3),
    channels=st.tuples(st.sampled_from([16, 17]), st.sampled_from([1, 3, 16, 20])),
    size=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    kernel=st.just((3, 3)) | PAIR,
    padding=st.tuples(st.integers(0, 4), st.integers(0, 4)),
    bias=st.booleans(),
)
def test_agrees_with_torch_where_it_has_a_faster_way(agree, n, channels, size, kernel, padding, bias):
    assume(all(size[i] + 2 * padding[i] >= kernel[i] for i in range(2)))
    arguments = (*channels, kernel, 1, padding, 1)
    agree(Conv2d(*arguments, bias), torch.nn.Conv2d(*arguments, bias=bias), (n, channels[0], *size))


@settings(deadline=None, max_examples=60)
@given(
    n=st.integers(0, 3),
    channels=st.tuples(st.sampled_from([1, 3, 16, 17]), st.sampled_from([1, 3, 16, 20])),
    size=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    kernel=st.just((3, 3)) | PAIR,
    stride=st.just((1, 1)) | PAIR,
    padding=PADDING,
    dilation=st.just((1, 1)) | PAIR,
)
def test_follows_the_plain_formula(follows, n, channels, size, kernel, stride, padding, dilation):
    assume(all(size[i] + 2 * padding[i] > dilation[i] * (kernel[i] - 1) for i in range(2)))
    sizes = (stride, padding, dilation)
    layer = Conv2d(*channels, kernel, *sizes)
    follows(layer, (n, channels[0], *size), plain_forward, plain_backward, sizes, sizes)


@settings(deadline=None, max_examples=200)
@given(
    n=st.integers(0, 2),
    channels=st.tuples(st.integers(1, 70) | st.sampled_from([8, 16, 32]), st.integers(1, 70) | st.integers(1, 3)),
    size=st.tuples(st.integers(1, 20), st.integers(1, 130)),
    kernel=st.just((3, 3)) | st.tuples(st.integers(1, 5), st.integers(1, 5)),
    stride=st.just((1, 1)) | PAIR,
    padding=st.tuples(st.integers(0, 4), st.integers(0, 4)),
    dilation=st.just((1, 1)) | PAIR,
    bias=st.booleans(),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    layout=st.sampled_from(["planes", "channels last", "turned", "some channels"]),
)
def test_evaluation_follows_the_plain_formula(
    n, channels, size, kernel, stride, padding, dilation, bias, dtype, layout
):
    assume(all(size[i] + 2 * padding[i] > dilation[i] * (kernel[i] - 1) for i in range(2)))
    generator = torch.Generator().manual_seed(0)
    layer = Conv2d(*channels, kernel, stride, padding, dilation, bias, dtype=dtype, generator=generator).eval()
    if bias:
        layer.bias = torch.randn(channels[1], generator=generator, dtype=dtype)
    shape, order = {
        "planes": ((n, channels[0], *size), (0, 1, 2, 3)),
        "channels last": ((n, *size, channels[0]), (0, 3, 1, 2)),
        "turned": ((n, channels[0], *size[::-1]), (0, 1, 3, 2)),
        "some channels": ((n, *size, channels[0] + 5), (0, 3, 1, 2)),
    }[layout]
    x = torch.randn(shape, generator=generator, dtype=dtype).permute(order)[:, : channels[0]]
    numbers = layer.bias if bias else torch.zeros(channels[1], dtype=dtype)
    expected = plain_forward(x, layer.weight, numbers, stride, padding, dilation)
    tolerance = 1e-4 if dtype is torch.float32 else 1e-12
    torch.testing.assert_close(layer(x), expected, rtol=0, atol=tolerance)
    torch.testing.assert_close(layer.rectified(x), expected.clamp(min=0), rtol=0, atol=tolerance)


@settings(deadline=None, max_examples=40)
@given(
    n=st.integers(0, 3),
    channels=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    size=st.tuples(st.integers(1, 8), st.integers(1, 8)),
    kernel=PAIR,
    stride=PAIR,
    padding=PADDING,
    dilation=PAIR,
)
def test_the_plain_formula_agrees_with_torch(formula_agrees, n, channels, size, kernel, stride, padding, dilation):
    assume(all(size[i] + 2 * padding[i] > dilation[i] * (kernel[i] - 1) for i in range(2)))
    sizes = (stride, padding, dilation)
    twin = torch.nn.Conv2d(*channels, kernel, *sizes)
    formula_agrees(twin, (n, channels[0], *size), plain_forward, plain_backward, sizes, sizes)


@pytest.mark.parametrize("channels", [(16, 16), (64, 64), (128, 32), (64, 3)])
def test_the_faster_ways_round_hardly_more_than_the_plain_formula(channels):
    generator = torch.Generator().manual_seed(0)
    layer = Conv2d(*channels, 3, padding=1, generator=generator)
    x = torch.randn(2, channels[0], 30, 30, generator=generator)
    exact = torch.nn.functional.conv2d(x.double(), layer.weight.double(), padding=1)
    for mode in (layer.train, layer.eval):
        mode()
        assert (layer(x) - exact).abs().max() < 5e-6 * exact.abs().max()


def test_single_numbers_stand_for_both_directions(agree):
    agree(Conv2d(3, 5, 3, 2, 1), torch.nn.Conv2d(3, 5, 3, 2, 1), (2, 3, 9, 7))


def test_passes_the_check_of_the_course():
    # torch.allclose with its defaults, rtol 1e-5 and atol 1e-8: no room for one rounding more.
    generator = torch.Generator().manual_seed(0)
    for _ in range(200):
        x = torch.randn(1, 3, 32, 32, generator=generator)
        layer = Conv2d(3, 3, 3, generator=generator)
        layer.bias = torch.randn(3, generator=generator)
        assert torch.allclose(layer.forward(x), torch.nn.functional.conv2d(x, layer.weight, layer.bias))


def test_the_first_layer_may_leave_out_the_input_gradient():
    layer = Conv2d(3, 4, 3)
    layer.needs_input_grad = False
    y = layer(torch.randn(2, 3, 5, 5))
    assert layer.backward(torch.ones_like(y)) is None
    assert layer.bias_grad.tolist() == [18.0] * 4


def test_weights_start_xavier_normal():
    layer = Conv2d(64, 32, 5, generator=torch.Generator().manual_seed(0))
    assert layer.weight.std().item() == pytest.approx((2 / (25 * (64 + 32))) ** 0.5, rel=0.02)
    assert not layer.bias.any()


def test_errors_say_what_fits():
    with pytest.raises(ShapeError, match=r"Conv2d: expected an input of \(N, 3, H, W\), not \(1, 4, 8, 8\)"):
        Conv2d(3, 4, 3)(torch.zeros(1, 4, 8, 8))
    with pytest.raises(
        ShapeError, match="kernel_size 5x5 does not fit an input of 4x4; pad it or use a smaller kernel"
    ):
        Conv2d(3, 4, 5)(torch.zeros(1, 3, 4, 4))
    with pytest.raises(ShapeError, match=r"conv2d takes pictures \(channels, height, width\), not a sample of shape"):
        Conv2dSpec(type="conv2d", out_channels=4, kernel_size=3).output_shape((7,))
    with pytest.raises(StateError, match="Conv2d: backward before forward"):
        Conv2d(3, 4, 3).backward(torch.zeros(1))


def test_a_changed_input_is_noticed():
    x = torch.randn(1, 16, 1, 1).contiguous(memory_format=torch.channels_last)
    layer = Conv2d(16, 4, 1)
    y = layer(x)
    x.zero_()
    with pytest.raises(StateError, match="changed in place before backward"):
        layer.backward(y)
