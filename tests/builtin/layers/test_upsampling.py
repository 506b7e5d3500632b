from __future__ import annotations

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from layerkit import Conv2d, NearestUpsampling, Sequential, ShapeError, Upsampling
from layerkit.builtin.layers.upsampling import UpsamplingSpec, plain_backward, plain_forward


class NearestThenConv(torch.nn.Module):
    """The plain formula, with any pair of scale factors."""

    def __init__(self, scale, *arguments, **options):
        super().__init__()
        self.scale, self.conv = scale, torch.nn.Conv2d(*arguments, **options)

    def forward(self, x):
        return self.conv(x.repeat_interleave(self.scale[0], 2).repeat_interleave(self.scale[1], 3))


@settings(deadline=None, max_examples=80)
@given(
    n=st.integers(0, 3),
    channels=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    size=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    kernel=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    scale=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    padding=st.tuples(st.integers(0, 3), st.integers(0, 3)),
    bias=st.booleans(),
)
def test_agrees_with_torch_and_with_the_plain_layers(agree, n, channels, size, kernel, scale, padding, bias):
    assume(all(size[i] * scale[i] + 2 * padding[i] >= kernel[i] for i in range(2)))
    layer = Upsampling(*channels, kernel, scale, padding, bias)
    agree(layer, NearestThenConv(scale, *channels, kernel, padding=padding, bias=bias), (n, channels[0], *size))
    plain = Sequential(NearestUpsampling(scale), Conv2d(*channels, kernel, padding=padding, bias=bias))
    agree(plain, NearestThenConv(scale, *channels, kernel, padding=padding, bias=bias), (n, channels[0], *size))


@settings(deadline=None, max_examples=60)
@given(
    n=st.integers(0, 3),
    channels=st.tuples(st.sampled_from([1, 3, 16]), st.sampled_from([1, 3, 16, 20])),
    size=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    kernel=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    scale=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    padding=st.tuples(st.integers(0, 3), st.integers(0, 3)),
)
def test_follows_the_plain_formula(follows, n, channels, size, kernel, scale, padding):
    assume(all(size[i] * scale[i] + 2 * padding[i] >= kernel[i] for i in range(2)))
    layer, shape = Upsampling(*channels, kernel, scale, padding), (n, channels[0], *size)
    follows(layer, shape, plain_forward, plain_backward, (scale, padding), (scale, padding))


def test_defaults_are_those_of_table_1(agree):
    twin = torch.nn.Sequential(torch.nn.UpsamplingNearest2d(scale_factor=2), torch.nn.Conv2d(4, 3, 3, padding=1))
    agree(Upsampling(4, 3), twin, (2, 4, 8, 8))


def test_the_first_layer_may_leave_out_the_input_gradient():
    layer = Upsampling(3, 4)
    layer.needs_input_grad = False
    y = layer(torch.randn(2, 3, 5, 5))
    assert layer.backward(torch.ones_like(y)) is None
    assert layer.bias_grad.tolist() == [200.0] * 4


def test_errors_say_what_fits():
    with pytest.raises(ShapeError, match=r"Upsampling: expected an input of \(N, 3, H, W\), not \(1, 4, 8, 8\)"):
        Upsampling(3, 4)(torch.zeros(1, 4, 8, 8))
    spec = UpsamplingSpec(type="upsampling", out_channels=4, kernel_size=5, padding=0)
    with pytest.raises(ShapeError, match="kernel_size 5x5 does not fit an input of 4x4; pad it"):
        spec.output_shape((3, 2, 2))
