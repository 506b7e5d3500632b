"""A training step of torch.nn on a GPU in its fastest ways, and how long a call takes there."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.networks import LR, twin_of
from layerkit import Architecture
from layerkit.devices import computing_in

DEVICE = torch.device("cuda")
STEPS = 16
"""Steps that are started one after the other before the GPU is waited for, by every candidate."""


@contextmanager
def precision(name: str) -> Iterator[None]:
    """Let products inside ``with``, ours and those of torch.nn, be of this kind."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = name == "tf32"
    try:
        with computing_in(name):
            yield
    finally:
        torch.backends.cudnn.allow_tf32 = before


def seconds_of(call: Callable[[], object], budget: float = 0.5) -> float:
    """Return the median seconds of a call, which has been called before; the GPU is waited for."""
    start = time.perf_counter()
    call()
    torch.cuda.synchronize()
    first = time.perf_counter() - start
    if first > 2:  # what takes so long is not measured more closely
        return first
    call()
    times: list[float] = []
    end = time.perf_counter() + budget
    while len(times) < 3 or (time.perf_counter() < end and len(times) < 50):
        torch.cuda.synchronize()
        start = time.perf_counter()
        call()
        torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def eager(
    architecture: Architecture, noisy: Tensor, target: Tensor, steps: int, channels_last: bool
) -> Callable[[], object]:
    """Return what takes so many steps of torch.nn; the loss of the last is looked at, as ours are."""
    layout = torch.channels_last if channels_last else torch.contiguous_format
    network = twin_of(architecture).to(DEVICE).to(memory_format=layout)
    return _steps_of(network, network, noisy.contiguous(memory_format=layout), target, steps)


def _steps_of(
    run: Callable[..., Tensor], network: nn.Module, noisy: Tensor, target: Tensor, steps: int
) -> Callable[[], object]:
    optimizer = torch.optim.SGD(network.parameters(), lr=LR, fused=True)

    def call() -> float:
        for _ in range(steps):
            optimizer.zero_grad(set_to_none=True)
            loss = nn.functional.mse_loss(run(noisy), target)
            loss.backward()
            optimizer.step()
        return loss.item()

    return call


def graph(
    architecture: Architecture, noisy: Tensor, target: Tensor, steps: int, channels_last: bool
) -> Callable[[], object]:
    """Return what replays so many times a whole step of torch.nn, its optimizer with it, as one graph."""
    layout = torch.channels_last if channels_last else torch.contiguous_format
    network = twin_of(architecture).to(DEVICE).to(memory_format=layout)
    noisy = noisy.contiguous(memory_format=layout)
    fixed, wanted = noisy.clone(memory_format=torch.preserve_format), target.clone()
    optimizer = torch.optim.SGD(network.parameters(), lr=LR, fused=True)

    def step() -> Tensor:
        optimizer.zero_grad(set_to_none=True)
        loss = nn.functional.mse_loss(network(fixed), wanted)
        loss.backward()
        optimizer.step()
        return loss

    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(side)
    recorded = torch.cuda.CUDAGraph()
    with torch.cuda.graph(recorded):
        loss = step()

    def call() -> float:
        for _ in range(steps):
            fixed.copy_(noisy)
            wanted.copy_(target)
            recorded.replay()
        return loss.item()

    return call


def time_compiled(architecture: Architecture, noisy: Tensor, target: Tensor) -> dict[str, Any]:
    """Return milliseconds of a step of torch.nn by torch.compile, in float32."""
    found: dict[str, Any] = {}
    with precision("float32"):
        for mode in ("default", "reduce-overhead"):
            torch._dynamo.reset()
            network = twin_of(architecture).to(DEVICE).to(memory_format=torch.channels_last)
            run = torch.compile(network, mode=mode)
            given = noisy.contiguous(memory_format=torch.channels_last)
            found[mode] = 1e3 * seconds_of(_steps_of(run, network, given, target, STEPS), 0.4) / STEPS
    return found
