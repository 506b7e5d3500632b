from __future__ import annotations

import pytest
import torch
from layerkit import CheckpointError

from layerkit_optimizers import MomentumSGD, RMSprop

OPTIMIZERS = {
    "momentum": (MomentumSGD, torch.optim.SGD, {"lr": 0.1, "momentum": 0.9}),
    "nesterov": (MomentumSGD, torch.optim.SGD, {"lr": 0.1, "momentum": 0.8, "nesterov": True, "weight_decay": 0.1}),
    "rmsprop": (RMSprop, torch.optim.RMSprop, {}),
    "rmsprop with momentum": (RMSprop, torch.optim.RMSprop, {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.1}),
}
SHAPES = (3, 2), (), (4, 1, 2), (0,)


def pairs(dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    parameters = [torch.randn(shape, dtype=dtype, generator=generator) for shape in SHAPES]
    return [(parameter, torch.zeros_like(parameter)) for parameter in parameters]


def give_gradients(parameters, step):
    generator = torch.Generator().manual_seed(step)
    for _, gradient in parameters:
        gradient.copy_(torch.randn(gradient.shape, dtype=gradient.dtype, generator=generator))


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-4), (torch.float64, 1e-11)])
def test_follows_torch_for_many_steps(name, dtype, tolerance):
    own_class, other_class, arguments = OPTIMIZERS[name]
    parameters = pairs(dtype)
    leaves = [parameter.clone().requires_grad_() for parameter, _ in parameters]
    own, other = own_class(parameters, **arguments), other_class(leaves, **arguments)
    for step in range(200):
        give_gradients(parameters, step)
        given = [gradient.clone() for _, gradient in parameters]
        for gradient, leaf in zip(given, leaves, strict=True):
            leaf.grad = gradient.clone()
        if step == 100:
            own.lr = other.param_groups[0]["lr"] = own.lr / 3
        own.step()
        other.step()
        for (parameter, gradient), leaf, before in zip(parameters, leaves, given, strict=True):
            assert torch.equal(gradient, before)
            torch.testing.assert_close(parameter, leaf.detach(), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_goes_on_exactly_where_it_was(name):
    own_class, _, arguments = OPTIMIZERS[name]
    through, stopped = pairs(), pairs()
    whole, first = own_class(through, **arguments), own_class(stopped, **arguments)
    for step in range(5):
        for parameters, optimizer in ((through, whole), (stopped, first)):
            give_gradients(parameters, step)
            optimizer.step()
    state = {key: tensor.clone() for key, tensor in first.state_dict().items()}
    second = own_class(stopped, **arguments)
    second.load_state_dict(state)
    for step in range(5, 10):
        for parameters, optimizer in ((through, whole), (stopped, second)):
            give_gradients(parameters, step)
            optimizer.step()
    for (parameter, _), (other, _) in zip(through, stopped, strict=True):
        assert torch.equal(parameter, other)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_has_nothing_to_do_without_parameters(name):
    own_class, _, arguments = OPTIMIZERS[name]
    own_class([], **{"lr": 0.1, **arguments}).step()


def test_refuses_the_state_of_another():
    with pytest.raises(CheckpointError, match="the optimizer state does not fit RMSprop: mean"):
        RMSprop(pairs()).load_state_dict(RMSprop(pairs()).state_dict() | {"mean": torch.zeros(1)})
