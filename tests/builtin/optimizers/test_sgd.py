from __future__ import annotations

import pytest
import torch

from layerkit import SGD, CheckpointError


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("autograd", [True, False])
def test_follows_torch(dtype, autograd):
    generator = torch.Generator().manual_seed(0)
    parameters = [torch.randn(shape, dtype=dtype, generator=generator) for shape in ((3, 2), (), (0,), (4, 1, 2))]
    pairs = [(parameter, torch.zeros_like(parameter)) for parameter in parameters]
    leaves = [parameter.clone().requires_grad_() for parameter in parameters]
    own, other = SGD(pairs, lr=0.3), torch.optim.SGD(leaves, lr=0.3)
    for _ in range(20):
        own.zero_grad()
        for (_, gradient), leaf in zip(pairs, leaves, strict=True):
            assert not gradient.any()
            gradient += torch.randn(gradient.shape, dtype=dtype, generator=generator)
            leaf.grad = gradient.clone()
        with torch.set_grad_enabled(autograd):
            own.step()
        other.step()
        for (parameter, _), leaf in zip(pairs, leaves, strict=True):
            torch.testing.assert_close(parameter, leaf.detach())


def test_the_learning_rate_may_change():
    parameter, gradient = torch.zeros(2), torch.ones(2)
    optimizer = SGD([(parameter, gradient)], lr=1.0)
    optimizer.step()
    optimizer.lr = 0.5
    optimizer.step()
    assert parameter.tolist() == [-1.5, -1.5]


def test_has_nothing_to_keep():
    optimizer = SGD([], lr=1.0)
    optimizer.step()
    optimizer.zero_grad()
    assert optimizer.state_dict() == {}
    with pytest.raises(CheckpointError, match="the optimizer state does not fit SGD: momentum"):
        optimizer.load_state_dict({"momentum": torch.zeros(1)})
