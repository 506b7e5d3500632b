from __future__ import annotations

import math

import pytest
import torch
from layerkit import ShapeError
from torch import nn

from layerkit_activations import ELU, GELU, LeakyReLU, PReLU, SiLU, Softplus, Tanh

PAIRS = {
    "leaky_relu": (LeakyReLU(0.1), nn.LeakyReLU(0.1)),
    "leaky_relu of slope 0": (LeakyReLU(0), nn.LeakyReLU(0)),
    "prelu": (PReLU(), nn.PReLU()),
    "prelu by channel": (PReLU(3, 0.1), nn.PReLU(3, 0.1)),
    "elu": (ELU(), nn.ELU()),
    "elu of alpha 2": (ELU(2.0), nn.ELU(2.0)),
    "gelu": (GELU(), nn.GELU()),
    "silu": (SiLU(), nn.SiLU()),
    "tanh": (Tanh(), nn.Tanh()),
    "softplus": (Softplus(), nn.Softplus(threshold=80)),
    "softplus of beta 3": (Softplus(3.0), nn.Softplus(3.0, threshold=80)),
}


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gives_what_torch_gives(name, dtype):
    own, other = (module.to(dtype=dtype) for module in PAIRS[name])
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(4, 3, 5, 6, dtype=dtype, generator=generator) * 3
    x[0, 0, 0] = 0
    grad_output = torch.randn(x.shape, dtype=dtype, generator=generator)
    leaf = x.clone().requires_grad_()
    other.zero_grad(set_to_none=True)
    own.zero_grad()
    expected = other(leaf)
    expected.backward(grad_output)
    torch.testing.assert_close(own(x), expected.detach())
    torch.testing.assert_close(own.backward(grad_output), leaf.grad)
    for (_, gradient), parameter in zip(own.param(), other.parameters(), strict=True):
        torch.testing.assert_close(gradient, parameter.grad)


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_stays_finite_far_out(name, dtype):
    layer = PAIRS[name][0].to(dtype=dtype)
    x = torch.tensor([1e-30, 1.0, 20.0, 89.0, 710.0, 1e4, 1e15, 1e30], dtype=dtype)
    x = torch.cat((x, -x)).view(2, 1, 8).expand(2, 3, 8).contiguous()
    assert layer(x).isfinite().all()
    grad_x = layer.backward(torch.ones_like(x))
    assert grad_x.isfinite().all()
    assert grad_x[0, 0, -1] == (0 if name == "tanh" else 1)


def test_gelu_keeps_its_digits_far_below_zero():
    x = torch.full((2, 16), -8.0)
    expected = torch.full((2, 16), -4 * math.erfc(8 / math.sqrt(2)))
    torch.testing.assert_close(GELU()(x), expected, rtol=1e-5, atol=0)


def test_prelu_says_how_many_channels_it_has():
    with pytest.raises(ShapeError, match=r"PReLU: expected an input of \(N, 3, ...\), not \(2, 4, 5\)"):
        PReLU(3)(torch.zeros(2, 4, 5))
