from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import avg_pool2d

from layerkit import ShapeError, load_architecture
from layerkit.builtin.layers.shrinkage import Shrinkage


class Shrunk(torch.nn.Module):
    """The formula, of torch's own parts."""

    def __init__(self, channels: int, reach: int):
        super().__init__()
        self.log_threshold = torch.nn.Parameter(torch.zeros(channels))
        self.reach = reach

    def forward(self, x):
        side = 2 * self.reach + 1
        m = avg_pool2d(x.square(), side, 1, self.reach, count_include_pad=False)
        t = (2 * self.log_threshold)[:, None, None].exp()
        return x * m**3 / (m**3 + t**3)


@settings(deadline=None, max_examples=20)
@given(
    shape=st.tuples(st.integers(1, 2), st.integers(1, 3), st.integers(5, 8), st.integers(5, 8)),
    reach=st.integers(0, 2),
)
def test_agrees_with_torch(agree, shape, reach):
    agree(Shrinkage(shape[1], reach, 0.8), Shrunk(shape[1], reach), shape)


def test_small_values_go_and_large_ones_stay():
    layer = Shrinkage(2, reach=1, threshold=0.1)
    x = torch.stack([torch.full((4, 4), 0.02), torch.full((4, 4), 5.0)])[None]
    y = layer(x)
    assert y[0, 0].abs().max() < 1e-4
    torch.testing.assert_close(y[0, 1], x[0, 1])
    assert torch.equal(layer(torch.zeros_like(x)), torch.zeros_like(x))
    assert torch.equal(layer.backward(torch.ones_like(x)), torch.zeros_like(x))


def test_the_threshold_is_that_of_the_spec():
    layer = {"type": "shrinkage", "threshold": 0.3}
    text = f'{{"format": 1, "name": "n", "input": {{"channels": 2, "height": 4, "width": 4}}, "layers": [{layer}]}}'
    (spec,) = load_architecture(text.replace("'", '"')).layers
    built = spec.build((2, 4, 4), torch.Generator())
    torch.testing.assert_close(built.log_threshold, torch.full((2,), math.log(0.3)))
    assert spec.parameter_count((2, 4, 4)) == 2


def test_other_shapes_are_refused():
    with pytest.raises(ShapeError, match=r"Shrinkage: expected an input of \(N, 2, H, W\), not \(1, 3, 4, 4\)"):
        Shrinkage(2)(torch.zeros(1, 3, 4, 4))
