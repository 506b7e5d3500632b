from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from layerkit import ShapeError
from layerkit.builtin.layers.pixel_shuffle import PixelShuffle, PixelShuffleSpec


@settings(deadline=None, max_examples=40)
@given(
    n=st.integers(1, 3),
    channels=st.integers(1, 3),
    size=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    factor=st.integers(1, 4),
)
def test_agrees_with_torch(agree, n, channels, size, factor):
    shape = (channels * factor**2, *size)
    spec = PixelShuffleSpec(type="pixel_shuffle", upscale_factor=factor)
    assert spec.output_shape(shape) == (channels, size[0] * factor, size[1] * factor)
    agree(PixelShuffle(factor), torch.nn.PixelShuffle(factor), (n, *shape))


def test_takes_an_empty_batch():
    # torch itself cannot: its backward returns a gradient of the wrong shape.
    layer = PixelShuffle(2)
    y = layer(torch.zeros(0, 8, 3, 3))
    assert y.shape == (0, 2, 6, 6) and layer.backward(y).shape == (0, 8, 3, 3)


def test_a_factor_of_one_returns_copies():
    x, layer = torch.randn(1, 2, 3, 3), PixelShuffle(1)
    assert layer(x).data_ptr() != x.data_ptr()
    assert layer.backward(x).data_ptr() != x.data_ptr()


def test_errors_say_what_fits():
    remedy = "upscale_factor 2 needs a multiple of 4 channels, not 6; let the layer before it make 8"
    with pytest.raises(ShapeError, match=remedy):
        PixelShuffleSpec(type="pixel_shuffle", upscale_factor=2).output_shape((6, 4, 4))
    with pytest.raises(ShapeError, match=remedy):
        PixelShuffle(2)(torch.zeros(1, 6, 4, 4))
