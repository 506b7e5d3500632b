"""Pictures are cut into bands without a gap, and what is computed band by band is what is computed at once."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from layerkit.arithmetic import bands, division
from layerkit.arithmetic.division import BAND_NUMBERS
from layerkit.builtin.layers.conv2d import Conv2d
from layerkit.builtin.layers.transposed_conv2d import TransposedConv2d
from layerkit.builtin.layers.upsampling import Upsampling
from layerkit.contracts.workspace import Workspace


@given(n=st.integers(0, 9), rows=st.integers(1, 40), numbers=st.integers(1, 5 * BAND_NUMBERS))
def test_every_row_is_in_one_band(n, rows, numbers):
    cut = bands.bands(n, rows, numbers, BAND_NUMBERS)
    taken = [
        (picture, row) for band in cut for picture in range(n)[band.pictures] for row in range(band.first, band.stop)
    ]
    assert taken == [(picture, row) for picture in range(n) for row in range(rows)]
    sizes = [(band.pictures.stop - band.pictures.start) * (band.stop - band.first) for band in cut]
    assert sizes[0] == max(sizes)
    most = math.ceil(BAND_NUMBERS * rows / numbers)
    assert all(size <= most for size in sizes) or not n


@pytest.mark.parametrize(
    "layer",
    [
        Conv2d(16, 16, 3, padding=1),
        Conv2d(16, 17, 3),
        Conv2d(17, 16, 3, padding=(5, 0)),
        Conv2d(16, 3, 3, padding=1),
        Conv2d(16, 2, (4, 3), padding=(0, 3), dilation=(3, 1)),
        Conv2d(16, 1, 1, padding=2),
        Upsampling(16, 16, 3, scale_factor=2, padding=1),
        Upsampling(16, 3, 5, scale_factor=3, padding=0),
        TransposedConv2d(16, 16, 2, stride=2),
        TransposedConv2d(16, 3, 5, stride=3, padding=4),
    ],
    ids=lambda layer: f"{type(layer).__name__}-{layer.out_channels}-{layer.padding}",
)
@pytest.mark.parametrize("shape", [(1, 16, 33, 10), (3, 16, 12, 9), (0, 16, 12, 12)])
@pytest.mark.parametrize("numbers", [1, 3_000, 40_000])
def test_bands_leave_no_trace(monkeypatch, layer, shape, numbers):
    layer = copy.deepcopy(layer).to(dtype=torch.float64)
    generator = torch.Generator().manual_seed(0)
    for parameter in layer.parameters():
        parameter.copy_(torch.randn(parameter.shape, generator=generator))
    x = torch.randn(shape[0], layer.in_channels, *shape[2:], generator=generator, dtype=torch.float64)
    expected = layer.forward(x)
    monkeypatch.setattr(division, "BAND_NUMBERS", numbers)
    layer.eval()
    torch.testing.assert_close(layer.forward(x), expected)
    workspace = Workspace([layer])
    for scale in (1, -2):  # the second time what was planned is used
        with workspace:
            torch.testing.assert_close(layer.forward(scale * x).clone(), layer.train().forward(scale * x))
            layer.eval()
