"""The report's network beside one of torch.nn with the same weights, step by step."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from layerkit import MSE, SGD, build, load_architecture

TABLE_1 = Path(__file__).parents[1] / "architectures" / "table1.json"


def twin() -> torch.nn.Module:
    nn = torch.nn
    return nn.Sequential(
        nn.Conv2d(3, 44, 2, 2),
        nn.ReLU(),
        nn.Conv2d(44, 44, 2, 2),
        nn.ReLU(),
        nn.UpsamplingNearest2d(scale_factor=2),
        nn.Conv2d(44, 44, 3, padding=1),
        nn.ReLU(),
        nn.UpsamplingNearest2d(scale_factor=2),
        nn.Conv2d(44, 3, 3, padding=1),
        nn.Sigmoid(),
    )


@pytest.mark.parametrize("autograd", [True, False])
@pytest.mark.parametrize("needs_input_grad", [True, False])
def test_ten_steps_follow_autograd_parameter_by_parameter(autograd, needs_input_grad):
    own, other = build(load_architecture(TABLE_1), seed=1).to(dtype=torch.float64), twin().double()
    parameters = list(other.parameters())
    assert sum(parameter.numel() for parameter in parameters) == 27_019
    with torch.no_grad():
        for parameter, (weight, _) in zip(parameters, own.param(), strict=True):
            parameter.copy_(weight)
    own.needs_input_grad = needs_input_grad
    loss, optimizer = MSE(), SGD(own.param(), lr=1.0)
    other_optimizer = torch.optim.SGD(parameters, lr=1.0)
    generator = torch.Generator().manual_seed(2)
    for _ in range(10):
        x, target = torch.rand(2, 4, 3, 32, 32, dtype=torch.float64, generator=generator)
        with torch.set_grad_enabled(autograd):
            value = loss(own(x), target)
            optimizer.zero_grad()
            own.backward(loss.backward())
            optimizer.step()
        other_optimizer.zero_grad()
        expected = torch.nn.functional.mse_loss(other(x), target)
        expected.backward()
        other_optimizer.step()
        assert abs(value.item() - expected.item()) < 1e-9
        for (name, (weight, gradient)), parameter in zip(own.named_param().items(), parameters, strict=True):
            assert (weight - parameter).abs().max() < 1e-9, name
            assert (gradient - parameter.grad).abs().max() < 1e-9, name
