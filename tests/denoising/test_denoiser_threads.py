"""One denoiser at work in many threads: the same bits as in one, whatever else the program does meanwhile."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier, Event

import pytest
import torch
from torch import Tensor

from layerkit import MSE, SGD, Conv2d, Denoiser, Module, ReLU, Sequential, StateError, Trainer, build, load_architecture

ARCHITECTURES = Path(__file__).parents[2] / "architectures"
SIZES = [(1, 32, 32), (1, 45, 61), (3, 20, 24), (1, 70, 33)]
THREADS = 8

CONVOLUTION = {"type": "conv2d", "out_channels": 16, "kernel_size": 3, "padding": 1}
MIXED = {
    "format": 1,
    "name": "mixed",
    "input": {"channels": 3, "height": 32, "width": 32},
    "layers": [
        CONVOLUTION,
        {"type": "batch_norm2d"},
        {"type": "dropout"},
        {"type": "max_pool2d", "kernel_size": 2},
        {"type": "residual", "layers": [{"type": "prelu"}, CONVOLUTION]},
        {"type": "pixel_shuffle", "upscale_factor": 2},
        CONVOLUTION | {"out_channels": 3},
    ],
}
SPECS = {"mixed": json.dumps(MIXED)} | {
    name: (ARCHITECTURES / f"{name}.json").read_text() for name in ("table1", "unet", "strong")
}


def network_named(name: str) -> Sequential:
    return build(load_architecture(SPECS[name]), seed=1)


def pictures(count: int, height: int, width: int) -> Tensor:
    generator = torch.Generator().manual_seed(height)
    return torch.randint(0, 256, (count, 3, height, width), generator=generator, dtype=torch.uint8)


def training() -> list[Tensor]:
    """Return the weights of a network after a few steps."""
    network = network_named("mixed")
    trainer = Trainer(network, MSE(), SGD(network.param(), lr=0.001))
    for seed in range(6):
        batch = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(seed))
        trainer.step(batch, 1 - batch)
    return [parameter for parameter, _ in network.param()]


@pytest.mark.parametrize(
    ("name", "training_mode"), [("mixed", True), ("table1", False), ("unet", True), ("strong", False)]
)
def test_many_threads_get_the_bits_of_one(name: str, training_mode: bool) -> None:
    network = network_named(name).train(training_mode)
    batches = [pictures(*size) for size in SIZES]
    alone = Denoiser(network_named(name), (3, 32, 32), tile=40)
    expected, expected_weights = [alone.predict(batch) for batch in batches], training()
    shared, start = Denoiser(network, (3, 32, 32), tile=40), Barrier(THREADS + 1)

    def work(thread: int) -> bool:
        start.wait()
        turns = [(thread + turn) % len(batches) for turn in range(len(batches))]
        return all([torch.equal(shared.predict(batches[turn]), expected[turn]) for turn in turns])

    def train() -> list[Tensor]:
        start.wait()
        return training()

    with ThreadPoolExecutor(THREADS + 1) as pool:
        weights = pool.submit(train)
        assert all(pool.map(work, range(THREADS)))
        assert all(map(torch.equal, weights.result(), expected_weights))
    assert network.training is training_mode


class Stopping(Module):
    """The identity, which does something on the way."""

    def __init__(self, stop: Callable[[], object]) -> None:
        super().__init__()
        self.stop = stop

    def forward(self, x: Tensor) -> Tensor:
        self.stop()
        return x.clone()

    def backward(self, grad_output: Tensor) -> Tensor:
        return grad_output.clone()


def test_two_calls_are_inside_the_network_at_once() -> None:
    # No call leaves the network before the other has come in: if one waited for the other, this would not end.
    shared = Denoiser(Sequential(*network_named("table1"), Stopping(Barrier(2).wait)), (3, 32, 32))
    batches = [pictures(1, 32, 32), 255 - pictures(1, 32, 32)]
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(shared.predict, batches))
    alone = Denoiser(network_named("table1"), (3, 32, 32))
    assert all(torch.equal(answer, alone.predict(batch)) for answer, batch in zip(answers, batches, strict=True))


def test_a_callback_may_call_this_denoiser_and_others() -> None:
    first, second = (Denoiser(network_named(name), (3, 32, 32), tile=40) for name in ("mixed", "table1"))
    large, small = pictures(1, 70, 33), pictures(1, 45, 61)
    expected = first.predict(large), first.predict(small), second.predict(small)
    held, answers = [], []

    def call(done: int, total: int) -> None:
        answers.extend([first.predict(small), second.predict(small)])
        held.append(first.network.eval().forward(small[:, :, :32, :32] / 255))

    answer = first.predict(large, call)
    assert torch.equal(answer, expected[0])
    assert len(held) > 1 and all(torch.equal(output, held[0]) for output in held)
    assert all(map(torch.equal, answers, expected[1:] * len(held)))


# What cannot be right is refused


def stopping_network() -> tuple[Sequential, Event, Event]:
    """Return a network whose forward says that it is there, and waits until it may go on."""
    inside, go_on = Event(), Event()

    def stop() -> None:
        inside.set()
        go_on.wait()

    generator = torch.Generator().manual_seed(0)
    return Sequential(Conv2d(3, 3, 3, padding=1, generator=generator), Stopping(stop), ReLU()), inside, go_on


def test_a_network_in_the_middle_of_a_step_denoises_nothing() -> None:
    network, inside, go_on = stopping_network()
    trainer, denoiser = Trainer(network, MSE(), SGD(network.param(), lr=0.1)), Denoiser(network, (3, 8, 8))
    noisy, clean = 255 * torch.rand(2, 1, 3, 8, 8)
    with ThreadPoolExecutor(1) as pool:
        step = pool.submit(trainer.step, noisy, clean)
        inside.wait()
        try:
            with pytest.raises(StateError, match="another thread is in the middle of a training step of this network"):
                denoiser.predict(noisy)
        finally:
            go_on.set()
        step.result()
    denoiser.predict(noisy)


def test_a_step_that_changes_the_network_under_a_prediction_is_told() -> None:
    network, inside, go_on = stopping_network()
    denoiser = Denoiser(network, (3, 8, 8))
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(denoiser.predict, pictures(1, 8, 8))
        inside.wait()
        network[0].weight.mul_(2)  # what the step of an optimizer does
        go_on.set()
        with pytest.raises(StateError, match="the weights of this network were changed while it was being evaluated"):
            answer.result()
    denoiser.predict(pictures(1, 8, 8))


def test_a_training_from_the_callback_is_told() -> None:
    network = network_named("mixed")
    trainer, denoiser = Trainer(network, MSE(), SGD(network.param(), lr=0.1)), Denoiser(network, (3, 32, 32), tile=40)
    batch = torch.rand(2, 3, 32, 32) / 100
    with pytest.raises(StateError, match="evaluate it between training steps, or evaluate a copy"):
        denoiser.predict(pictures(1, 70, 33), lambda done, total: trainer.step(batch, batch))
