from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import ClassVar

import pytest
import torch

from layerkit import (
    MSE,
    SGD,
    Conv2d,
    Loss,
    Module,
    Sequential,
    ShapeError,
    StateError,
    TensorError,
    Trainer,
    build,
    installed,
    load_architecture,
)
from layerkit.contracts.schedule import Schedule
from layerkit.contracts.workspace import LENT
from layerkit.errors import DivergedError


def pair(n: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(n, 3, 8, 8, generator=generator), torch.rand(n, 3, 8, 8, generator=generator)


def convolution(lr: float = 0.1, loss: Loss | None = None) -> tuple[Sequential, Trainer]:
    network = Sequential(Conv2d(3, 3, 3, padding=1, generator=torch.Generator().manual_seed(0)))
    return network, Trainer(network, loss or MSE(), SGD(network.param(), lr=lr))


def test_steps_make_the_loss_smaller():
    _, trainer = convolution()
    losses = [trainer.step(*pair(4)) for _ in range(50)]
    assert all(isinstance(loss, float) for loss in losses)
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < losses[0] / 2


def test_a_loss_that_compares_samples_is_given_the_batch_whole(monkeypatch):
    class Comparing(MSE):
        compares_samples = True
        sizes: ClassVar[list[int]] = []

        def forward(self, prediction, target):
            self.sizes.append(len(prediction))
            return super().forward(prediction, target)

    monkeypatch.setattr("layerkit.arithmetic.division.NUMBERS_AT_ONCE", 400)
    monkeypatch.setattr("layerkit.arithmetic.division.NUMBERS_A_PARAMETER", 1)
    _, trainer = convolution(loss=Comparing())
    trainer.step(*pair(6))
    assert Comparing.sizes == [6]
    Comparing.compares_samples = False
    trainer.step(*pair(6))
    assert Comparing.sizes == [6, 2, 2, 2], "another loss is given slices"


def test_a_step_is_made_in_training_mode_and_autograd_sees_nothing():
    network, trainer = convolution()
    network.eval()
    with torch.enable_grad():
        trainer.step(*pair(4))
    assert network.training
    assert not any(parameter.requires_grad for parameter, _ in network.param())
    assert network.needs_input_grad


def test_memory_is_lent_for_a_step_alone():
    class Watching(MSE):
        def forward(self, prediction, target):
            seen.append(LENT.get())
            return super().forward(prediction, target)

    seen = []
    network, trainer = convolution(loss=Watching())
    trainer.step(*pair(4))
    with pytest.raises(DivergedError):
        trainer.step(*(torch.nan * part for part in pair(4)))
    assert seen == [trainer.workspace] * 2
    assert all(trainer.workspace.lends_to(each) for each in (trainer.loss, network, network[0]))
    assert LENT.get() is None
    assert network.needs_input_grad


@pytest.mark.parametrize("component", installed().of_kind("loss"), ids=lambda component: component.name)
def test_slices_of_a_batch_make_the_step_of_the_whole(component, monkeypatch):
    spec = component.spec.model_validate(component.example, context=installed())
    noisy, target = pair(7)
    if spec.takes_masked:
        unknown = torch.rand(target.shape, generator=torch.Generator().manual_seed(1))
        target[unknown < torch.linspace(0, 1, 7).view(7, 1, 1, 1)] = torch.nan  # the more, the later a sample
    steps, sizes = [], []
    monkeypatch.setattr("layerkit.arithmetic.division.NUMBERS_A_PARAMETER", 0)
    for numbers in (10**9, 400):  # of the whole batch, and of two samples
        monkeypatch.setattr("layerkit.arithmetic.division.NUMBERS_AT_ONCE", numbers)
        network, trainer = convolution(loss=spec.build())
        trainer.progress = 0.6
        forward = trainer.loss.forward
        trainer.loss.forward = lambda x, y, forward=forward: sizes.append(len(x)) or forward(x, y)
        steps.append((trainer.step(noisy, target), *(parameter for parameter, _ in network.param())))
    assert sorted(sizes) == [1, 2, 2, 2, 7]
    whole, sliced = steps
    assert sliced[0] == pytest.approx(whole[0], rel=1e-5)
    for ours, theirs in zip(sliced[1:], whole[1:], strict=True):
        torch.testing.assert_close(ours, theirs)


def test_a_layer_that_mixes_the_batch_gets_it_whole(tiny, monkeypatch):
    monkeypatch.setattr("layerkit.arithmetic.division.NUMBERS_AT_ONCE", 1)
    network = build(load_architecture(json.dumps(tiny.tree())))
    seen = []
    forward = network.forward
    object.__setattr__(network, "forward", lambda x: seen.append(len(x)) or forward(x))
    Trainer(network, MSE(), SGD(network.param(), lr=0.1)).step(*pair(5))
    assert seen == [5]


def test_to_measure_a_network_draws_nothing_from_its_generators(tiny):
    tree = tiny.tree() | {"layers": [{"type": "dropout"}, {"type": "conv2d", "out_channels": 3, "kernel_size": 1}]}
    architecture = load_architecture(json.dumps(tree))
    losses = []
    for measured in (False, True):
        network = build(architecture)
        trainer = Trainer(network, MSE(), SGD(network.param(), lr=0.1))
        if measured:
            trainer._slice_size(pair(4)[0])
        losses.append([trainer.step(*pair(4)) for _ in range(3)])
    assert losses[0] == losses[1]


class Falling(Schedule):
    def factor(self, progress: float) -> float:
        return 1 - progress


def test_the_learning_rate_is_the_first_one_times_the_schedule_s_factor():
    network, plain = convolution(lr=0.1)
    trainer = Trainer(network, plain.loss, plain.optimizer, Falling())
    rates = []
    for progress in (0.0, 0.25, 0.5, 0.25):
        trainer.progress = progress
        trainer.step(*pair(4))
        rates.append(trainer.optimizer.lr)
    assert rates == [0.1, 0.1 * 0.75, 0.1 * 0.5, 0.1 * 0.75]


def test_a_step_is_made_with_the_rate_of_its_own_progress():
    scheduled, trainer = convolution(lr=0.1)
    trainer = Trainer(scheduled, trainer.loss, trainer.optimizer, Falling())
    trainer.progress = 0.5
    trainer.step(*pair(4))
    plain, trainer = convolution(lr=0.05)
    trainer.step(*pair(4))
    assert torch.equal(scheduled[0].weight, plain[0].weight)


def test_without_a_schedule_the_learning_rate_is_left_alone():
    _, trainer = convolution(lr=0.1)
    trainer.optimizer.lr = 0.3
    trainer.progress = 0.5
    trainer.step(*pair(4))
    assert trainer.optimizer.lr == 0.3


def test_the_loss_is_told_the_progress_before_it_computes():
    class Watching(MSE):
        def forward(self, prediction, target):
            seen.append(self.progress)
            return super().forward(prediction, target)

    seen = []
    network, plain = convolution()
    trainer = Trainer(network, Watching(), plain.optimizer)
    for progress in (0.0, 0.75):
        trainer.progress = progress
        trainer.step(*pair(4))
    assert seen == [0.0, 0.75]


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_a_loss_that_is_not_finite_leaves_the_weights(value):
    network, trainer = convolution()
    before = [parameter.clone() for parameter, _ in network.param()]
    noisy, target = pair(4)
    with pytest.raises(DivergedError, match=r"the loss is (nan|inf); try a smaller learning rate"):
        trainer.step(noisy, target.fill_(value))
    assert all(torch.equal(now, old) for (now, _), old in zip(network.param(), before, strict=True))


def test_an_empty_batch_changes_nothing():
    network, trainer = convolution()
    before = network[0].weight.clone()
    assert trainer.step(*pair(0)) == 0
    assert torch.equal(network[0].weight, before)


def test_an_output_of_another_shape_than_the_targets_is_refused_and_changes_no_weight():
    network, trainer = convolution()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    noisy, target = pair(2)
    with pytest.raises(ShapeError, match=r"output is \(2, 3, 8, 8\), and it is compared with targets \(2, 1, 8, 8\)"):
        trainer.step(noisy, target[:, :1])
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


# Threads


class Stopping(Module):
    """The identity, which says that it is there, and waits until it may go on."""

    def __init__(self) -> None:
        super().__init__()
        self.inside, self.go_on = Event(), Event()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.inside.set()
        self.go_on.wait()
        return x.clone()

    def backward(self, grad_output: torch.Tensor) -> torch.Tensor:
        return grad_output.clone()


@pytest.mark.parametrize("shared", ["trainer", "network", "part of the network", "loss"])
def test_a_second_step_at_the_same_time_is_refused_and_the_first_one_is_right(shared):
    plain, expected = convolution()
    expected.step(*pair(4))
    stopping, network, loss = Stopping(), convolution()[0], MSE()
    trainer = Trainer(Sequential(stopping, network), loss, SGD(network.param(), lr=0.1))
    others = {
        "trainer": trainer,
        "network": Trainer(trainer.network, MSE(), SGD(network.param(), lr=0.1)),
        "part of the network": Trainer(network, MSE(), SGD(network.param(), lr=0.1)),
        "loss": convolution(loss=loss)[1],
    }
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(trainer.step, *pair(4))
        stopping.inside.wait()
        try:
            with pytest.raises(StateError, match="is in the middle of a training step, of another thread most likely"):
                others[shared].step(*pair(4, seed=1))
        finally:
            stopping.go_on.set()
        first.result()
    assert torch.equal(network[0].weight, plain[0].weight)
    others[shared].step(*pair(4, seed=1))


def test_networks_are_trained_in_many_threads_at_once():
    def train(seed: int) -> torch.Tensor:
        network, trainer = convolution()
        for step in range(20):
            trainer.step(*pair(4, seed=seed + step))
        return network[0].weight

    seeds = range(4)
    with ThreadPoolExecutor(4) as pool:
        assert all(map(torch.equal, pool.map(train, seeds), map(train, seeds)))


class Counting(Module):
    """The identity, which notes how many threads torch has in each pass."""

    def __init__(self) -> None:
        super().__init__()
        self.threads: list[int] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.threads.append(torch.get_num_threads())
        return x.clone()

    def backward(self, grad_output: torch.Tensor) -> torch.Tensor:
        self.threads.append(torch.get_num_threads())
        return grad_output.clone()


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(("numbers", "expected"), [(10**9, 1), (1, 2)])
def test_a_short_step_is_taken_by_one_thread(two_threads, monkeypatch, numbers, expected):
    monkeypatch.setattr("layerkit.arithmetic.division.NUMBERS_A_THREAD", numbers)
    counting, network = Counting(), convolution()[0]
    trainer = Trainer(Sequential(network, counting), MSE(), SGD(network.param(), lr=0.1))
    trainer.step(*pair(4))
    assert counting.threads[-2:] == [expected, expected]
    assert torch.get_num_threads() == 2


def test_a_short_step_that_diverges_gives_the_threads_back(two_threads):
    _, trainer = convolution()
    noisy, target = pair(4)
    with pytest.raises(DivergedError):
        trainer.step(noisy * torch.inf, target)
    assert torch.get_num_threads() == 2


# Inputs


@pytest.mark.parametrize("change", ["numpy", "tolist"])
@pytest.mark.parametrize("which", [0, 1])
def test_what_is_no_tensor_is_refused(change, which):
    given = list(pair(4))
    given[which] = getattr(given[which], change)()
    with pytest.raises(
        TensorError, match=r"Trainer.step: expected a torch.Tensor, not (a numpy array|list); convert it"
    ):
        convolution()[1].step(*given)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float64])
def test_pictures_of_another_dtype_are_refused_and_the_network_is_left_alone(dtype):
    network, trainer = convolution()
    before = network[0].weight.clone()
    noisy, target = pair(4)
    with pytest.raises(
        TensorError, match=r"layers\[0\]: Conv2d: expected a tensor of torch.float32, as its parameters"
    ):
        trainer.step(noisy.to(dtype), target)
    with pytest.raises(TensorError, match=r"MSE: expected a tensor of floats, not of torch.uint8"):
        trainer.step(noisy, (255 * target).byte())
    assert torch.equal(network[0].weight, before) and network.needs_input_grad
    trainer.step(noisy, target)


def test_as_many_targets_as_pictures_are_needed():
    (noisy, target), trainer = pair(4), convolution()[1]
    for given in ((noisy, target[:3]), (noisy[:3], target), (noisy.sum(), target.sum())):
        with pytest.raises(ShapeError, match=r"Trainer.step: expected a batch \(N, ...\) and as many targets, not \("):
            trainer.step(*given)


def test_a_trainer_prints_what_it_works_with():
    assert repr(convolution()[1]).splitlines() == [
        "Trainer(",
        "  network: Sequential of 1 layer, 84 parameters",
        "  loss: MSE()",
        "  optimizer: SGD(lr=0.1)",
        "  schedule: None",
        ")",
    ]
