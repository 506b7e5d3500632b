from __future__ import annotations

import pytest
import torch

from layerkit import CheckpointError, Optimizer


class Shaken(Optimizer):
    """Moves the parameters by chance."""

    def __init__(self, parameters, lr):
        super().__init__(parameters, lr)
        self.moved = torch.zeros(())

    def step(self):
        for parameter in self.parameters:
            noise = torch.randn(parameter.shape, generator=self.generator)
            parameter.add_(noise, alpha=self.lr)
            self.moved += 1

    def state_dict(self):
        return {"moved": self.moved, "generator": self.generator.get_state()}


def shaken() -> Shaken:
    return Shaken([(torch.zeros(3), torch.zeros(3))], lr=1.0)


def test_the_generator_of_an_optimizer_goes_on_from_its_state():
    one, other = shaken(), shaken()
    one.generator.manual_seed(7)
    one.step()
    other.load_state_dict({name: value.clone() for name, value in one.state_dict().items()})
    other.parameters[0].copy_(one.parameters[0])
    one.step()
    other.step()
    assert torch.equal(one.parameters[0], other.parameters[0])
    assert float(other.moved) == 2


def test_what_is_no_state_of_a_generator_is_refused_and_changes_nothing():
    optimizer = shaken()
    before = optimizer.generator.get_state()
    wrong = {"moved": torch.ones(()), "generator": torch.full_like(before, 255)}
    with pytest.raises(CheckpointError, match="the optimizer state does not fit Shaken: generator"):
        optimizer.load_state_dict(wrong)
    assert torch.equal(optimizer.generator.get_state(), before)
    assert not float(optimizer.moved)
