from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from layerkit import Conv2d, ReLU, Sequential, ShapeError, Sigmoid, load_architecture
from layerkit.builtin.layers.residual import Residual


class Added(torch.nn.Sequential):
    def forward(self, x):
        return x + super().forward(x)


@settings(deadline=None, max_examples=30)
@given(shape=st.tuples(st.integers(0, 3), st.integers(1, 4), st.integers(1, 5), st.integers(1, 5)))
def test_agrees_with_torch(agree, shape):
    width = shape[1]
    inner = torch.nn.Conv2d(width, 5, 3, padding=1), torch.nn.Sigmoid(), Added(torch.nn.Conv2d(5, 5, 1))
    layer = Residual(Conv2d(width, 5, 3, padding=1), Sigmoid(), Residual(Conv2d(5, 5, 1)), Conv2d(5, width, 1), ReLU())
    agree(layer, Added(*inner, torch.nn.Conv2d(5, width, 1), torch.nn.ReLU()), shape)


def test_as_a_first_layer_it_still_learns():
    layers = Conv2d(3, 3, 3, padding=1), ReLU(), Conv2d(3, 3, 1)
    net = Sequential(ReLU(), Residual(*layers), Conv2d(3, 2, 1))
    x = torch.randn(2, 3, 4, 4)
    grad_output = torch.randn(2, 2, 4, 4)
    net(x)
    assert net.backward(grad_output) is not None
    full = [grad.clone() for _, grad in net.param()]
    net.zero_grad()
    net.needs_input_grad = False
    assert not net.needs_input_grad and not layers[0].needs_input_grad and layers[2].needs_input_grad
    net(x)
    assert net.backward(grad_output) is None
    assert all(torch.equal(grad, before) for (_, grad), before in zip(net.param(), full, strict=True))


def test_without_anything_learned_the_gradient_goes_through():
    layer = Residual(ReLU())
    layer.needs_input_grad = False
    y = layer(torch.tensor([[-1.0, 2.0]]))
    assert y.tolist() == [[-1.0, 4.0]]
    assert layer.backward(torch.ones_like(y)).tolist() == [[1.0, 2.0]]


def test_layers_that_change_the_shape_are_refused():
    with pytest.raises(
        ShapeError, match=r"they make 4x2x2 of 3x4x4; let them keep the shape, by padding and by as many chan"
    ):
        Residual(Conv2d(3, 4, 2, 2))(torch.zeros(1, 3, 4, 4))
    text = """{"format": 1, "name": "n", "input": {"channels": 3, "height": 4, "width": 4}, "layers": [
        {"type": "relu"}, {"type": "residual", "layers": [{"type": "conv2d", "out_channels": 3, "kernel_size": 3}]}]}"""
    with pytest.raises(ValueError, match=r":2:\d+: layers\[1\] \(residual\): residual adds .* make 3x2x2 of 3x4x4"):
        load_architecture(text)
    with pytest.raises(ValueError, match=r":2:\d+: layers\[1\]\.layers\[0\] \(conv2d\): kernel_size 9x9 does not fit"):
        load_architecture(text.replace('"kernel_size": 3', '"kernel_size": 9'))


def test_errors_inside_lead_to_the_layer():
    with pytest.raises(ShapeError, match=r"^layers\[0\]\.layers\[1\]: Conv2d: expected an input of \(N, 4, H, W\)"):
        Sequential(Residual(ReLU(), Conv2d(4, 3, 1)))(torch.zeros(1, 3, 4, 4))
