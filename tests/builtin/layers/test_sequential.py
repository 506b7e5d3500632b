from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from layerkit import (
    Conv2d,
    NearestUpsampling,
    ReLU,
    Sequential,
    ShapeError,
    Sigmoid,
    Upsampling,
    load_architecture,
)


@settings(deadline=None, max_examples=30)
@given(n=st.integers(0, 3), size=st.tuples(st.integers(1, 3), st.integers(1, 3)), width=st.integers(1, 4))
def test_agrees_with_torch(agree, n, size, width):
    layer = Sequential(
        Conv2d(3, width, 2, 2),
        ReLU(),
        Sequential(NearestUpsampling(2), Conv2d(width, width, 3, padding=1), Sigmoid()),
        Upsampling(width, 3),
    )
    twin = torch.nn.Sequential(
        torch.nn.Conv2d(3, width, 2, 2),
        torch.nn.ReLU(),
        torch.nn.UpsamplingNearest2d(scale_factor=2),
        torch.nn.Conv2d(width, width, 3, padding=1),
        torch.nn.Sigmoid(),
        torch.nn.UpsamplingNearest2d(scale_factor=2),
        torch.nn.Conv2d(width, 3, 3, padding=1),
    )
    agree(layer, twin, (n, 3, 2 * size[0], 2 * size[1]))


def test_without_layers_it_returns_a_copy():
    x, layer = torch.randn(1, 3, 2, 2), Sequential()
    y = layer(x)
    assert torch.equal(y, x) and y.data_ptr() != x.data_ptr()
    assert layer.backward(x).data_ptr() != x.data_ptr()


def test_names_follow_the_nesting():
    net = Sequential(ReLU(), Sequential(Conv2d(3, 3, 1)))
    assert list(net.named_param()) == ["1.0.weight", "1.0.bias"]
    assert len(net) == 2 and isinstance(net[0], ReLU)


def test_no_layer_up_to_the_first_that_learns_needs_an_input_gradient():
    net = Sequential(ReLU(), Sequential(Conv2d(3, 3, 1)), Conv2d(3, 3, 1))
    net.needs_input_grad = False
    assert not net.needs_input_grad and not net[1].needs_input_grad and net[2].needs_input_grad
    y = net(torch.randn(2, 3, 4, 4))
    assert net.backward(torch.ones_like(y)) is None
    assert net[1][0].weight_grad.any() and net[2].weight_grad.any()


def test_errors_lead_to_the_layer():
    with pytest.raises(ShapeError, match=r"^layers\[1\]\.layers\[0\]: Conv2d: expected an input of \(N, 4, H, W\)"):
        Sequential(ReLU(), Sequential(Conv2d(4, 3, 1)))(torch.zeros(1, 3, 4, 4))
    text = """{"format": 1, "name": "n", "input": {"channels": 3, "height": 4, "width": 4}, "layers": [
        {"type": "relu"},
        {"type": "sequential", "layers": [{"type": "conv2d", "out_channels": 3, "kernel_size": 5}]}]}"""
    with pytest.raises(ValueError, match=r":3:\d+: layers\[1\]\.layers\[0\] \(conv2d\): kernel_size 5x5 does not fit"):
        load_architecture(text)
