from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from layerkit import Conv2d, ReLU, Sequential, ShapeError, Upsampling, load_architecture
from layerkit.builtin.layers.linear import Linear
from layerkit.builtin.layers.max_pool2d import MaxPool2d
from layerkit.builtin.layers.skip import Skip, SkipSpec


class Behind(torch.nn.Sequential):
    def forward(self, x):
        return torch.cat((x, super().forward(x)), 1)


@settings(deadline=None, max_examples=30)
@given(n=st.integers(0, 3), width=st.integers(1, 4), size=st.tuples(st.integers(1, 3), st.integers(1, 3)))
def test_agrees_with_torch_as_a_small_unet(agree, n, width, size):
    layer = Skip(
        Conv2d(3, width, 3, padding=1),
        ReLU(),
        Skip(MaxPool2d(2), Conv2d(width, 2, 1), Upsampling(2, 5)),
        Conv2d(width + 5, width, 3, padding=1),
    )
    nn = torch.nn
    up = nn.UpsamplingNearest2d(scale_factor=2), nn.Conv2d(2, 5, 3, padding=1)
    inner = Behind(nn.MaxPool2d(2), nn.Conv2d(width, 2, 1), *up)
    twin = Behind(nn.Conv2d(3, width, 3, padding=1), nn.ReLU(), inner, nn.Conv2d(width + 5, width, 3, padding=1))
    agree(layer, twin, (n, 3, 2 * size[0], 2 * size[1]))


def test_takes_features_too(agree):
    agree(Skip(Linear(3, 4)), Behind(torch.nn.Linear(3, 4)), (5, 3))


def test_the_input_comes_first():
    y = Skip(ReLU())(torch.full((1, 2, 1, 1), -1.0))
    assert y.flatten().tolist() == [-1.0, -1.0, 0.0, 0.0]


def test_as_a_first_layer_it_still_learns():
    net = Sequential(Skip(Conv2d(3, 4, 1)), Conv2d(7, 2, 1))
    net.needs_input_grad = False
    y = net(torch.randn(2, 3, 4, 4))
    assert net.backward(torch.ones_like(y)) is None
    assert all(grad.any() for _, grad in net.param())


def test_layers_that_change_the_size_are_refused():
    with pytest.raises(ShapeError, match=r"they make 4x2x2 of 3x4x4; let them keep height and width"):
        Skip(Conv2d(3, 4, 2, 2))(torch.zeros(1, 3, 4, 4))
    text = """{"format": 1, "name": "n", "input": {"channels": 3, "height": 5, "width": 5}, "layers": [
        {"type": "skip", "layers": [{"type": "max_pool2d", "kernel_size": 2}, {"type": "nearest_upsampling"}]}]}"""
    with pytest.raises(
        ValueError, match=r":2:\d+: layers\[0\] \(skip\): .* 3x4x4 of 3x5x5; .* a size that divides evenly"
    ):
        load_architecture(text)


def test_its_shape_counts_both():
    architecture = load_architecture(
        """{"format": 1, "name": "n", "input": {"channels": 3, "height": 5, "width": 5}, "layers": [
        {"type": "skip", "layers": [{"type": "conv2d", "out_channels": 4, "kernel_size": 1}]}]}"""
    )
    (skip,) = architecture.layers
    assert isinstance(skip, SkipSpec)
    assert skip.output_shape((3, 5, 5)) == (7, 5, 5) and skip.parameter_count((3, 5, 5)) == 16
