from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from layerkit import NearestUpsampling, ShapeError
from layerkit.builtin.layers.nearest_upsampling import NearestUpsamplingSpec


class Repeat(torch.nn.Module):
    def __init__(self, scale):
        super().__init__()
        self.scale = scale

    def forward(self, x):
        return x.repeat_interleave(self.scale[0], 2).repeat_interleave(self.scale[1], 3)


@settings(deadline=None, max_examples=60)
@given(
    shape=st.tuples(st.integers(0, 3), st.integers(1, 4), st.integers(1, 6), st.integers(1, 6)),
    scale=st.tuples(st.integers(1, 4), st.integers(1, 4)),
)
def test_agrees_with_torch(agree, shape, scale):
    agree(NearestUpsampling(scale), Repeat(scale), shape)
    if scale[0] == scale[1]:
        agree(NearestUpsampling(scale[0]), torch.nn.UpsamplingNearest2d(scale_factor=scale[0]), shape)


def test_a_scale_of_one_returns_a_copy():
    x = torch.randn(1, 2, 3, 3)
    assert NearestUpsampling(1)(x).data_ptr() != x.data_ptr()


def test_errors_say_what_fits():
    with pytest.raises(ShapeError, match=r"NearestUpsampling: expected an input of \(N, C, H, W\), not \(4, 8, 8\)"):
        NearestUpsampling(2)(torch.zeros(4, 8, 8))
    with pytest.raises(ShapeError, match=r"nearest_upsampling takes pictures"):
        NearestUpsamplingSpec(type="nearest_upsampling").output_shape((7,))
