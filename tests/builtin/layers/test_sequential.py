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
from layerkit.contracts.watching import watching


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


# In evaluation a convolution does the ReLU behind it at once


def convolution(kind: type[Conv2d] = Conv2d, dtype: torch.dtype = torch.float32) -> Conv2d:
    return kind(16, 24, 3, padding=1, dtype=dtype, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_relu_behind_a_convolution_gives_the_same_bits(dtype):
    layer, x = convolution(dtype=dtype), torch.randn(2, 16, 9, 50, dtype=dtype)
    together = Sequential(layer, ReLU(), Sequential(ReLU())).eval().forward(x)
    assert torch.equal(together, layer.forward(x).clamp(min=0))


class Passing:
    """Writes down the shapes that pass."""

    def __init__(self):
        self.shapes = []

    def forward(self, method, x):
        self.shapes.append(tuple(x.shape))
        return method(x)

    def backward(self, method, grad_output):
        return method(grad_output)


@pytest.mark.parametrize(("watched", "shape"), [(0, (1, 16, 8, 8)), (1, (1, 24, 8, 8))])
def test_whoever_watches_a_convolution_or_the_relu_behind_it_sees_it_called(watched, shape):
    network, passing = Sequential(convolution(), ReLU()).eval(), Passing()
    with watching([(network[watched], passing)]):
        network.forward(torch.randn(1, 16, 8, 8))
    assert passing.shapes == [shape]


class Doubled(Conv2d):
    def forward(self, x):
        return 2 * super().forward(x)


class Shifted(ReLU):
    def forward(self, x):
        return super().forward(x) + 1


def test_layers_with_a_forward_of_their_own_are_asked_for_it():
    x = torch.randn(1, 16, 8, 8)
    expected = convolution().eval().forward(x).clamp(min=0)
    torch.testing.assert_close(Sequential(convolution(Doubled), ReLU()).eval().forward(x), 2 * expected)
    torch.testing.assert_close(Sequential(convolution(), Shifted()).eval().forward(x), expected + 1)
