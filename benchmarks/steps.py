"""Training steps of layerkit beside those of torch.nn."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from benchmarks.networks import own_step, rival_step, twin_of
from benchmarks.products import products_of
from benchmarks.timing import interleaved
from layerkit import Architecture

OWN, PRODUCTS, SMALL = "layerkit", "products alone", "small operation"
RIVALS = {
    "torch.nn": {"channels_last": False, "compiled": False},
    "channels-last": {"channels_last": True, "compiled": False},
    "compiled": {"channels_last": False, "compiled": True},
    "compiled channels-last": {"channels_last": True, "compiled": True},
}


def fastest_sgd(architecture: Architecture) -> dict[str, bool]:
    """Return the arguments of torch's SGD that make it fastest for this network."""
    ways: dict[str, dict[str, bool]] = {
        "foreach": {"foreach": True},
        "fused": {"fused": True},
        "plain": {"foreach": False},
    }
    steps = {}
    for name, arguments in ways.items():
        parameters = list(twin_of(architecture).parameters())
        for parameter in parameters:
            parameter.grad = torch.zeros_like(parameter)
        steps[name] = torch.optim.SGD(parameters, lr=1e-3, **arguments).step
        steps[name]()
    timings = interleaved(steps, 0.3)
    return ways[min(timings, key=lambda name: timings[name].median)]


def _small_operation() -> Callable[[], object]:
    """Return an operation that takes two threads little more than to wake each other, which tells how near they are."""
    numbers = torch.randn(40_000)
    return partial(torch.clamp, numbers, min=0, out=torch.empty_like(numbers))


def time_steps(
    architecture: Architecture, batch: int, threads: int, seconds: float, compiled: bool, clock: Any
) -> dict[str, Any]:
    """Return one row of the table: the time of a step by candidate, the ratios, and the share of the products."""
    torch.set_num_threads(threads)
    torch._dynamo.reset()  # which otherwise gives up compiling after a few networks
    generator = torch.Generator().manual_seed(batch)
    noisy, target = torch.rand(2, batch, *architecture.input.shape, generator=generator)
    sgd = fastest_sgd(architecture)
    steps, unavailable, losses = {}, {}, {}
    for name, kind in {OWN: None, **RIVALS}.items():
        if kind and kind["compiled"] and not compiled:
            unavailable[name] = "left out; --compile includes it"
            continue
        try:
            step = own_step(architecture) if kind is None else rival_step(twin_of(architecture), **kind, sgd=sgd)
            losses[name] = step(noisy, target)
            step(noisy, target)
        except Exception as error:
            if kind is None or not kind["compiled"]:
                raise
            unavailable[name] = f"{type(error).__name__}: {str(error).splitlines()[0][:120]}"
            continue
        steps[name] = partial(step, noisy, target)
    wrong = {name: loss for name, loss in losses.items() if abs(loss - losses[OWN]) > 1e-4 * abs(losses[OWN])}
    if wrong:
        raise AssertionError(f"the twins do not compute the same: {losses[OWN]} and {wrong}")
    products, multiply_adds = products_of(steps[OWN])
    products()
    timings = interleaved({**steps, PRODUCTS: products, SMALL: _small_operation()}, seconds, clock)
    own, small = timings[OWN].median, timings.pop(SMALL)
    rivals = {name: timings[name].median / own for name in steps if name != OWN}
    return {
        "network": architecture.name,
        "batch": batch,
        "threads": threads,
        "milliseconds": {name: 1e3 * timing.median for name, timing in timings.items()},
        "least_milliseconds": {name: 1e3 * timing.least for name, timing in timings.items()},
        "rounds": timings[OWN].rounds,
        "ratio": rivals,
        "ratio_to_fastest": min(rivals.values()),
        "ratio_to_default": rivals["torch.nn"],
        "products_share": timings[PRODUCTS].median / own,
        "products_gflops": 2e-9 * multiply_adds / timings[PRODUCTS].median,
        "microseconds_a_picture": 1e6 * own / batch,
        "small_microseconds": 1e6 * small.median,
        "sgd": sgd,
        "unavailable": unavailable,
    }


def time_sizes(architecture: Architecture, threads: int, seconds: float, clock: Any = time.perf_counter) -> list[dict]:
    """Return the time of a step a pixel, for pictures of growing size."""
    torch.set_num_threads(threads)
    channels = architecture.input.channels
    rows = []
    for side in (16, 32, 64, 128, 256):
        noisy, target = torch.rand(2, 4, channels, side, side)
        step = own_step(architecture)
        step(noisy, target)
        timing = interleaved({OWN: partial(step, noisy, target)}, seconds, clock)[OWN]
        rows.append(
            {
                "side": side,
                "milliseconds": 1e3 * timing.median,
                "nanoseconds_a_pixel": 1e9 * timing.median / noisy[:, 0].numel(),
            }
        )
    return rows
