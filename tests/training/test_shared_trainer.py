"""What one process learns and what several learn is the same."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from together import together
from works import COUNTS, NETWORKS, NORMALIZED, distance, steps, steps_alone

from layerkit import Conv2d, Module, Sequential
from layerkit.builtin.losses.mse import MSE
from layerkit.builtin.optimizers.sgd import SGD
from layerkit.distributed.group import Alone
from layerkit.errors import DivergedError, UserError
from layerkit.training.shared_trainer import SharedTrainer
from layerkit.training.trainer import Trainer

TOLERANCES = {"float32": 1e-6, "float64": 1e-12}


@pytest.mark.parametrize("name", NETWORKS)
def test_ten_steps_are_those_of_one_process(name, thorough):
    for size in (2, 4) if thorough else (2,):
        processes = together(size, steps, NETWORKS[name], COUNTS, list(TOLERANCES))
        for number, (dtype, tolerance) in enumerate(TOLERANCES.items()):
            losses, state = steps_alone(NETWORKS[name], COUNTS, dtype)
            for answers in processes:
                shared_losses, shared_state = answers[number]
                assert distance(shared_state, state) < tolerance
                np.testing.assert_allclose(shared_losses, losses, rtol=tolerance)
                assert all(map(np.array_equal, shared_state, processes[0][number][1]))


def test_a_batch_may_have_fewer_samples_than_there_are_processes():
    losses, state = steps_alone(NORMALIZED, [1, 1], "float64")
    for ((shared_losses, shared_state),) in together(2, steps, NORMALIZED, [1, 1], ["float64"]):
        assert distance(shared_state, state) < 1e-12
        np.testing.assert_allclose(shared_losses, losses, rtol=1e-12)


class Centred(Module):
    """Subtracts the mean over the batch, of this process alone."""

    mixes_batch = True

    def forward(self, x):
        return x - x.mean(0)

    def backward(self, grad_output):
        return grad_output - grad_output.mean(0)


def shared(*layers: Module) -> SharedTrainer:
    network = Sequential(*layers)
    return SharedTrainer(network, MSE(), SGD(network.param(), lr=0.1), None, Alone())


def test_a_layer_that_mixes_the_batch_of_one_process_is_refused():
    with pytest.raises(UserError, match=r"layer 1 \(Centred\) mixes the samples of a batch, and does not say that it"):
        shared(Conv2d(3, 3, 1), Centred())


def test_a_layer_that_draws_is_refused():
    class Drawing(Centred):
        mixes_batch = False

    drawing = Drawing()
    drawing.generator = torch.Generator()
    with pytest.raises(UserError, match=r"layer 0 \(Drawing\) draws random numbers, which would be others for most"):
        shared(drawing, Conv2d(3, 3, 1))


def test_a_loss_that_is_not_finite_changes_no_weight():
    trainer = shared(Conv2d(3, 3, 1))
    before = trainer.network.layers[0].weight.clone()
    with pytest.raises(DivergedError, match="the loss is nan; try a smaller learning rate"):
        trainer.step(torch.full((2, 3, 4, 4), torch.nan), torch.zeros(2, 3, 4, 4))
    assert trainer.network.layers[0].weight.equal(before)


def test_a_part_that_is_walked_in_slices_is_summed_once(monkeypatch):
    monkeypatch.setattr("layerkit.arithmetic.division.NUMBERS_AT_ONCE", 1)
    monkeypatch.setattr("layerkit.arithmetic.division.NUMBERS_A_PARAMETER", 1)
    sums = []

    class Counting(Alone):
        def begin_sum(self, tensor):
            sums.append(tensor)
            return super().begin_sum(tensor)

    batch = torch.rand(2, 7, 3, 8, 8, generator=torch.Generator().manual_seed(0)).double()
    states = []
    for kind in (Trainer, SharedTrainer):
        torch.manual_seed(0)
        network = Sequential(Conv2d(3, 4, 3, dtype=torch.float64), Conv2d(4, 3, 3, padding=2, dtype=torch.float64))
        parts = network, MSE(), SGD(network.param(), lr=0.1)
        trainer = Trainer(*parts) if kind is Trainer else SharedTrainer(*parts, None, Counting())
        trainer.step(*batch)
        states.append([parameter.numpy() for parameter, _ in network.param()])
    assert len(sums) == 1
    assert distance(*states) < 1e-14
