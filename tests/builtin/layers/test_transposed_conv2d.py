from __future__ import annotations

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from layerkit import ShapeError
from layerkit.builtin.layers.transposed_conv2d import (
    TransposedConv2d,
    TransposedConv2dSpec,
    plain_backward,
    plain_forward,
)

PAIR = st.tuples(st.integers(1, 3), st.integers(1, 3))
SMALL = st.tuples(st.integers(0, 2), st.integers(0, 2))


@settings(deadline=None, max_examples=80)
@given(
    n=st.integers(0, 3),
    channels=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    size=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    kernel=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    stride=PAIR,
    padding=SMALL,
    output_padding=SMALL,
    dilation=PAIR,
    bias=st.booleans(),
)
def test_agrees_with_torch_and_the_plain_formula(
    agree, follows, formula_agrees, n, channels, size, kernel, stride, padding, output_padding, dilation, bias
):
    output = [
        (size[i] - 1) * stride[i] - 2 * padding[i] + dilation[i] * (kernel[i] - 1) + output_padding[i] + 1
        for i in range(2)
    ]
    assume(min(output) > 0 and all(output_padding[i] < max(stride[i], dilation[i]) for i in range(2)))
    arguments = {
        "kernel_size": kernel,
        "stride": stride,
        "padding": padding,
        "output_padding": output_padding,
        "dilation": dilation,
        "bias": bias,
    }
    spec = TransposedConv2dSpec(type="transposed_conv2d", out_channels=channels[1], **arguments)
    assert spec.output_shape((channels[0], *size)) == (channels[1], *output)
    twin = torch.nn.ConvTranspose2d(*channels, **arguments)
    shape = (n, channels[0], *size)
    agree(TransposedConv2d(*channels, **arguments), twin, shape)
    if bias:
        sizes = (stride, padding, output_padding, dilation), (stride, padding, dilation)
        follows(TransposedConv2d(*channels, **arguments), shape, plain_forward, plain_backward, *sizes)
        formula_agrees(twin, shape, plain_forward, plain_backward, *sizes)


def test_arguments_come_in_the_order_of_torch(agree):
    arguments = (3, 5, 3, 2, 1, 1, False, 2)
    agree(TransposedConv2d(*arguments), torch.nn.ConvTranspose2d(*arguments[:6], 1, *arguments[6:]), (2, 3, 4, 5))


def test_the_first_layer_may_leave_out_the_input_gradient():
    layer = TransposedConv2d(3, 4, 2, 2)
    layer.needs_input_grad = False
    y = layer(torch.randn(2, 3, 5, 5))
    assert layer.backward(torch.ones_like(y)) is None
    assert layer.bias_grad.tolist() == [200.0] * 4


def test_errors_say_what_fits():
    with pytest.raises(ShapeError, match="output_padding 2x2 must be smaller than stride 2x2 or dilation 1x1"):
        TransposedConv2d(1, 1, 3, 2, output_padding=2)(torch.zeros(1, 1, 4, 4))
    spec = TransposedConv2dSpec(type="transposed_conv2d", out_channels=4, kernel_size=2, padding=2)
    with pytest.raises(
        ShapeError, match=r"padding 2x2 removes the whole output .* kernel of 2x2 .* input of 1x3; use less padding"
    ):
        spec.output_shape((3, 1, 3))
    with pytest.raises(ShapeError, match=r"TransposedConv2d: expected an input of \(N, 3, H, W\), not \(1, 4, 8, 8\)"):
        TransposedConv2d(3, 4, 3)(torch.zeros(1, 4, 8, 8))
