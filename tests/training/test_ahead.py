"""Steps whose losses are looked at together, and steps that are recorded: both are the steps they stand for."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import torch
from layerkit_normalization import BatchNorm2d, Dropout
from tape import DispatchTape
from torch import Tensor

from layerkit import (
    MSE,
    SGD,
    Adam,
    Conv2d,
    Masked,
    Module,
    ReLU,
    Sequential,
    Upsampling,
)
from layerkit.arithmetic.backends import plain
from layerkit.builtin.losses.annealed_l0 import AnnealedL0
from layerkit.contracts.loss import Loss
from layerkit.errors import DivergedError, ShapeError
from layerkit.training import recording
from layerkit.training.ahead import Batch, losses_of
from layerkit.training.trainer import Trainer


def trainer_of(*more: Module, loss: Loss | None = None, adam: bool = True) -> Trainer:
    generator = torch.Generator().manual_seed(0)
    network = Sequential(
        Conv2d(3, 16, 2, stride=2, generator=generator),
        ReLU(),
        BatchNorm2d(16),
        Dropout(0.3, generator=torch.Generator().manual_seed(1)),
        *more,
        # After layers whose output lies elsewhere every time, so that it plans its pass anew while it is recorded.
        Upsampling(16, 3, 3, scale_factor=2, padding=1, generator=generator),
    )
    optimizer = Adam(network.param(), lr=0.01) if adam else SGD(network.param(), lr=0.1)
    return Trainer(network, loss or MSE(), optimizer)


def batches(*sizes: int) -> list[Batch]:
    generator = torch.Generator().manual_seed(2)
    drawn = [torch.rand(2, size, 3, 8, 8, generator=generator) for size in sizes]
    return [Batch(noisy, target, index / len(sizes)) for index, (noisy, target) in enumerate(drawn)]


def one_by_one(trainer: Trainer, given: Sequence[Batch]) -> list[float]:
    return [loss for batch in given for loss in losses_of(trainer, [batch])]


def everything(trainer: Trainer) -> list[Tensor]:
    return [*trainer.network.state_dict().values(), *trainer.optimizer.state_dict().values()]


def same_bits(first: Trainer, second: Trainer) -> bool:
    return all(torch.equal(a, b) for a, b in zip(everything(first), everything(second), strict=True))


def test_steps_looked_at_together_are_the_same_steps():
    given, together, alone = batches(4, 4, 4, 3), trainer_of(), trainer_of()
    assert list(losses_of(together, given)) == one_by_one(alone, given)
    assert together.progress == alone.progress == 0.75
    assert same_bits(together, alone)


@pytest.mark.parametrize("bad", [0, 2, 3])
def test_a_loss_that_is_not_finite_leaves_everything_as_before_its_step(bad):
    given, together, alone = batches(4, 4, 4, 4), trainer_of(), trainer_of()
    expected = one_by_one(alone, given[:bad])
    given[bad].target[0, 0, 0, 0] = float("nan")
    # The forward pass of the step at fault draws numbers and counts statistics; no weight changes.
    with pytest.raises(DivergedError):
        one_by_one(alone, given[bad:])
    losses = losses_of(together, given)
    assert [next(losses) for _ in range(bad)] == expected
    with pytest.raises(DivergedError, match="the loss is nan"):
        next(losses)
    assert same_bits(together, alone)


def test_an_error_comes_from_the_step_at_fault():
    given, together, alone = batches(4, 4), trainer_of(), trainer_of()
    losses = losses_of(together, [given[0], Batch(given[1].noisy, given[1].target[:, :2], 0.5)])
    assert [next(losses)] == one_by_one(alone, given[:1])
    with pytest.raises(ShapeError, match="compared with targets"):
        next(losses)


@pytest.fixture
def taped(monkeypatch: pytest.MonkeyPatch) -> type[DispatchTape]:
    monkeypatch.setattr(recording, "tape_on", lambda device: DispatchTape)
    monkeypatch.setattr("layerkit.arithmetic.sums.BACKENDS", (plain,))
    monkeypatch.setattr(DispatchTape, "replays", 0)
    return DispatchTape


@pytest.mark.parametrize("adam", [True, False])
def test_recorded_steps_have_the_bits_of_steps_without(taped, adam):
    given = batches(4, 4, 4, 4, 4, 3, 3, 3, 3, 4, 4)  # two shapes of mini-batches, taken in turns
    recorded, alone = trainer_of(adam=adam), trainer_of(adam=adam)
    assert list(losses_of(recorded, given)) == one_by_one(alone, given)
    assert same_bits(recorded, alone)
    assert not recorded.recorder.remark
    assert taped.replays == len(given) - 2  # each shape is computed without a recording once


def test_only_some_shapes_are_recorded(taped):
    sizes = [size for size in range(1, 7) for _ in range(2)]
    recorded, alone = trainer_of(), trainer_of()
    assert list(losses_of(recorded, batches(*sizes))) == one_by_one(alone, batches(*sizes))
    assert taped.replays == recording.SHAPES


def test_a_network_that_was_moved_is_recorded_anew(taped):
    recorded, alone = trainer_of(adam=False), trainer_of(adam=False)
    for trainer, take in ((recorded, losses_of), (alone, one_by_one)):
        list(take(trainer, batches(4, 4, 4)))
        for parameter, gradient in trainer.network.param():
            parameter.data, gradient.data = parameter.data.clone(), gradient.data.clone()
        list(take(trainer, batches(4, 4, 4)))
    assert same_bits(recorded, alone)
    assert taped.replays == 4


class Waiting(Module):
    """Asks for a value."""

    def forward(self, x: Tensor) -> Tensor:
        return x / (1 + abs(x.sum().item()))

    def backward(self, grad_output: Tensor) -> Tensor:
        return grad_output


class Growing(Module):
    """Remembers, against its contract, how often it was called, in Python alone."""

    calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += self.training
        return x * (1 + 0.01 * self.calls)

    def backward(self, grad_output: Tensor) -> Tensor:
        return grad_output


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda: trainer_of(Waiting()), r"RuntimeError: aten\._local_scalar_dense\.default cannot be recorded"),
        (lambda: trainer_of(loss=Masked(MSE())), r"RuntimeError: aten\.index\.Tensor cannot be recorded"),
    ],
)
def test_what_cannot_be_recorded_is_said_and_done_without(taped, make: Callable[[], Trainer], why):
    recorded, alone = make(), make()
    assert list(losses_of(recorded, batches(4, 4, 4, 4))) == one_by_one(alone, batches(4, 4, 4, 4))
    assert same_bits(recorded, alone)
    assert taped.replays == 0
    with pytest.raises(AssertionError, match=f"the steps of this network are not recorded.*: {why}$"):
        raise AssertionError(recorded.recorder.remark)


def test_a_recording_that_gives_another_result_is_not_relied_on(taped):
    trainer = trainer_of(Growing())
    list(losses_of(trainer, batches(4, 4, 4, 4)))
    assert trainer.recorder.remark.endswith("what was recorded gives another result than the step itself")
    assert taped.replays == 1


@pytest.mark.parametrize("loss", [AnnealedL0(), Masked(AnnealedL0())])
def test_a_loss_that_changes_with_the_progress_is_not_recorded(taped, loss):
    trainer = trainer_of(loss=loss)
    assert trainer.recorder.remark == "the steps are not recorded, since the loss changes with the progress"
    list(losses_of(trainer, batches(4, 4, 4, 4)))
    assert taped.replays == 0
