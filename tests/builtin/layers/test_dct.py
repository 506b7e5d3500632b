from __future__ import annotations

import numpy as np
import pytest
import scipy.fft
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import conv2d, conv_transpose2d

from layerkit import Conv2d, ReLU, ShapeError, Sigmoid, load_architecture
from layerkit.builtin.layers.dct import Dct


class Windowed(torch.nn.Module):
    """The formula, as convolutions with the functions of scipy."""

    def __init__(self, channels: int, size: int, stride: int, *layers: torch.nn.Module):
        super().__init__()
        unit = np.eye(channels * size**2).reshape(-1, size, size, channels)  # (column, row, channel), as in Dct
        functions = scipy.fft.idctn(unit, axes=(1, 2, 3), norm="ortho")
        self.functions = torch.from_numpy(functions).permute(0, 3, 2, 1)
        self.stride, self.layers = stride, torch.nn.Sequential(*layers)

    def forward(self, x):
        functions = self.functions.to(x)
        inside = conv2d(x, functions, stride=self.stride)
        covered = conv_transpose2d(
            torch.ones_like(inside[:, :1]), torch.ones_like(functions[:1, :1]), stride=self.stride
        )
        return conv_transpose2d(self.layers(inside), functions, stride=self.stride) / covered


@settings(deadline=None, max_examples=20)
@given(
    channels=st.integers(1, 3),
    windows=st.tuples(st.integers(1, 4), st.integers(1, 3)),
    places=st.tuples(st.integers(0, 2), st.integers(0, 3)),
)
def test_agrees_with_torch(agree, channels, windows, places):
    size, stride = windows[0], min(windows)
    inside = channels * size**2
    layer = Dct(channels, Conv2d(inside, 3, 1), Sigmoid(), Conv2d(3, inside, 1), size=size, stride=stride)
    within = torch.nn.Conv2d(inside, 3, 1), torch.nn.Sigmoid(), torch.nn.Conv2d(3, inside, 1)
    shape = (2, channels, *(size + stride * place for place in places))
    agree(layer, Windowed(channels, size, stride, *within), shape)


def test_what_nothing_changes_is_given_back():
    x = torch.rand(2, 3, 14, 18, dtype=torch.float64)
    layer = Dct(3, Conv2d(192, 192, 1, bias=False)).to(dtype=torch.float64)
    layer.layers[0].weight = torch.eye(192)[:, :, None, None]
    torch.testing.assert_close(layer(x), x)


def test_as_a_first_layer_it_spares_the_gradient_of_the_picture():
    layer = Dct(1, Conv2d(4, 4, 1), size=2, stride=1)
    layer.needs_input_grad = False
    assert layer.backward(torch.ones_like(layer(torch.rand(1, 1, 3, 3)))) is None


def test_an_empty_batch():
    assert Dct(1, ReLU(), size=2, stride=2)(torch.zeros(0, 1, 4, 4)).shape == (0, 1, 4, 4)


def test_sizes_that_windows_do_not_cover_are_refused():
    with pytest.raises(ShapeError, match="windows of 8x8, one every 2 pixels, do not cover a picture of 16x17"):
        Dct(1, ReLU())(torch.zeros(1, 1, 16, 17))
    with pytest.raises(ShapeError, match="do not cover a picture of 4x4"):
        Dct(1, ReLU())(torch.zeros(1, 1, 4, 4))
    with pytest.raises(ShapeError, match="windows of size 2, one every 3 pixels, some pixels would be lost"):
        Dct(1, ReLU(), size=2, stride=3)


def test_layers_that_change_the_shape_are_refused():
    with pytest.raises(ShapeError, match=r"needs layers that keep the shape .* and they make 5x4x4 of 4x4x4"):
        Dct(1, Conv2d(4, 5, 1), size=2, stride=1)(torch.zeros(1, 1, 5, 5))


def test_what_it_costs():
    layer = '{"type": "dct", "size": 2, "stride": 2, "layers": [{"type": "shrinkage"}]}'
    text = f'{{"format": 1, "name": "n", "input": {{"channels": 3, "height": 4, "width": 4}}, "layers": [{layer}]}}'
    (spec,) = load_architecture(text).layers
    assert spec.parameter_count((3, 4, 4)) == 12
    # four windows of 12 numbers, to cosines and back, and two multiplications for each in the layer inside
    assert spec.multiply_adds((3, 4, 4)) == 2 * 4 * 12 * 12 + 2 * 4 * 12
