"""What the initial weights of a convolution are multiplied by."""

from __future__ import annotations

import json

import pytest
import torch

from layerkit import build, load_architecture
from layerkit.builtin.layers import Conv2d, TransposedConv2d, Upsampling


@pytest.mark.parametrize("layer", [Conv2d, TransposedConv2d, Upsampling])
def test_weights_begin_so_many_times_as_large(layer):
    one, tenth = (layer(8, 4, 3, gain=gain, generator=torch.Generator().manual_seed(0)) for gain in (1.0, 0.1))
    torch.testing.assert_close(tenth.weight, one.weight * 0.1)
    assert "gain=0.1" in repr(tenth)
    assert "gain" not in repr(one)


def test_a_spec_gives_it():
    layers = [{"type": "conv2d", "out_channels": 3, "kernel_size": 3, "padding": 1, "gain": 0.0}]
    tree = {"format": 1, "name": "n", "input": {"channels": 3, "height": 8, "width": 8}, "layers": layers}
    x = torch.rand(1, 3, 8, 8)
    assert not build(load_architecture(json.dumps(tree))).forward(x).any()
