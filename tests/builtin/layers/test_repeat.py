from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from layerkit import Conv2d, ReLU, ShapeError, build, load_architecture
from layerkit.builtin.layers.repeat import Repeat, expanded_count


def architecture(layers: str, size: int = 8):
    picture = f'{{"channels": 3, "height": {size}, "width": {size}}}'
    return load_architecture(f'{{"format": 1, "name": "n", "input": {picture}, "layers": [{layers}]}}')


CONV = '{"type": "conv2d", "out_channels": 3, "kernel_size": 3, "padding": 1}'


@settings(deadline=None, max_examples=20)
@given(n=st.integers(0, 2), times=st.integers(1, 4))
def test_agrees_with_torch(agree, n, times):
    net = build(architecture(f'{{"type": "repeat", "times": {times}, "layers": [{CONV}, {{"type": "relu"}}]}}'))
    twin = [layer for _ in range(times) for layer in (torch.nn.Conv2d(3, 3, 3, padding=1), torch.nn.ReLU())]
    agree(net, torch.nn.Sequential(*twin), (n, 3, 4, 5))


def test_every_copy_has_weights_of_its_own():
    net = build(architecture(f'{{"type": "repeat", "times": 3, "layers": [{CONV}]}}'))
    first, second, third = (net[0].layers[index].weight for index in range(3))
    assert not torch.equal(first, second) and not torch.equal(second, third)
    assert list(net.named_param())[::2] == [f"0.layers.{index}.weight" for index in range(3)]


def test_copies_may_change_the_shape():
    pool = '{"type": "repeat", "times": 3, "layers": [{"type": "max_pool2d", "kernel_size": 2}]}'
    assert architecture(pool).network.output_shape((3, 8, 8)) == (3, 1, 1)
    with pytest.raises(
        ValueError, match=r"layers\[0\]\.layers\[0\] \(max_pool2d\): in copy 3 of 3: kernel_size 2x2 does"
    ):
        architecture(pool, size=4)


def test_costs_count_every_copy():
    network = architecture(
        f'{{"type": "repeat", "times": 5, "layers": [{CONV}, {{"type": "repeat", "times": 2, "layers": [{CONV}]}}]}}'
    ).network
    assert network.parameter_count((3, 8, 8)) == 15 * 84
    assert network.multiply_adds((3, 8, 8)) == 15 * 3 * 3 * 9 * 64
    assert expanded_count(*network.layers) == 1 + 5 * (1 + 1 + 2)


def test_what_is_too_much_is_refused_before_it_is_made(at_most):
    layers = CONV
    for _ in range(14):
        layers = f'{{"type": "repeat", "times": 1000, "layers": [{layers}]}}'
    refused = r"1000 copies make [\d,]+ layers, .* at most 10,000 are built; use fewer times"
    with at_most(10_000), pytest.raises(ValueError, match=refused):
        architecture(layers)
    with pytest.raises(ValueError, match=r"layers\[0\]\.times \(repeat\): expected at most 1000, got 1001"):
        architecture(f'{{"type": "repeat", "times": 1001, "layers": [{CONV}]}}')


def test_errors_inside_lead_to_the_layer_in_one_copy():
    layer = Repeat(ReLU(), Conv2d(3, 4, 1), ReLU(), Conv2d(3, 4, 1), times=2)
    with pytest.raises(ShapeError, match=r"^layers\[1\]: in copy 2 of 2: Conv2d: expected an input of \(N, 3, H, W\)"):
        layer(torch.zeros(1, 3, 4, 4))
    with pytest.raises(ShapeError, match="Repeat: 1 layers are not 2 copies of the same"):
        Repeat(ReLU(), times=2)


def test_the_first_copy_may_leave_out_the_input_gradient():
    layer = Repeat(Conv2d(3, 3, 1), Conv2d(3, 3, 1), times=2)
    layer.needs_input_grad = False
    y = layer(torch.randn(1, 3, 2, 2))
    assert layer.backward(torch.ones_like(y)) is None and layer.layers[1].needs_input_grad
    assert all(grad.any() for _, grad in layer.param())
