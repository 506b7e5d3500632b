"""Where the time of a training step goes, layer by layer.

Each layer's time stands beside that of the bare matrix products which its multiply-adds would be: those of the forward
pass once, and backwards once for the weights and once for the input. A layer near 100 % is as fast as its plain formula
can be; one beyond needs fewer multiplications than that; one far below spends its time on something else.
"""

from __future__ import annotations

import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from layerkit.builtin.layers.container import Container
from layerkit.builtin.losses.mse import MSE
from layerkit.builtin.optimizers.sgd import SGD
from layerkit.contracts.module import Module
from layerkit.contracts.specs import LayerSpec, Shape
from layerkit.spec.architecture import Architecture, build
from layerkit.training.trainer import Trainer

PRODUCT_SIDE = 512
"""Rows and columns of the matrices whose product is timed for the speed of a bare product."""
MAX_STEPS = 1000


@dataclass
class LayerTime:
    """What one layer of the spec costs in a step, all copies together; a container's costs include its content.

    Attributes:
        path: JSON path from the architecture.
        depth: how many containers it is in.
        multiply_adds: of the forward pass of the whole batch, by the plain formula.
        forward, backward: seconds.
        products: seconds of the bare products, forwards and backwards.
    """

    path: tuple[str | int, ...]
    depth: int
    layer: LayerSpec
    container: bool
    output_shape: Shape
    multiply_adds: int = 0
    backward_multiply_adds: int = 0
    forward: float = 0.0
    backward: float = 0.0
    products: float = 0.0
    modules: list[Module] = field(default_factory=list)

    @property
    def share(self) -> float | None:
        """The share of the bare products in the layer's time; None where there are no products."""
        seconds = self.forward + self.backward
        return self.products / seconds if self.multiply_adds and seconds else None


@dataclass(frozen=True)
class Profile:
    """The layers, in order, and the seconds of a whole step; what no layer took are loss, optimizer and slices."""

    layers: list[LayerTime]
    batch_size: int
    step: float
    gflops: float
    steps: int


def profile(architecture: Architecture, batch_size: int, seconds: float = 3.0) -> Profile:
    """Return the times of a training step on random pictures, medians over as many steps as ``seconds`` allow.

    The learning rate is 0, so that nothing diverges. Slices of a large batch are counted together.
    """
    training = architecture.training
    network = build(architecture, seed=0)
    trainer = Trainer(network, training.loss.build() if training else MSE(), SGD(network.param(), lr=0.0))
    generator = torch.Generator().manual_seed(0)
    noisy = torch.rand(batch_size, *architecture.input.shape, generator=generator)
    target = torch.rand(batch_size, *architecture.network.output_shape(architecture.input.shape), generator=generator)
    layers = _layers(architecture.network, network, architecture.input.shape, batch_size)
    trainer.step(noisy, target)
    trainer.step(noisy, target)
    taken: dict[tuple[int, str], list[float]] = defaultdict(list)
    clocks = [
        (taken[index, name], _Clock(module, name))
        for index, layer in enumerate(layers)
        for module in layer.modules
        for name in ("forward", "backward")
    ]
    product, flops = _product(noisy)
    rates, steps = [], []
    end = time.perf_counter() + seconds
    while len(steps) < 3 or (time.perf_counter() < end and len(steps) < MAX_STEPS):
        start = time.perf_counter()
        trainer.step(noisy, target)
        steps.append(time.perf_counter() - start)
        for times, clock in clocks:
            times.append(clock.read())
        start = time.perf_counter()
        product()
        rates.append(flops / (time.perf_counter() - start))
    rate = statistics.median(rates)
    for index, layer in enumerate(layers):
        copies = len(layer.modules)
        layer.forward = copies * statistics.median(taken[index, "forward"])
        layer.backward = copies * statistics.median(taken[index, "backward"])
        layer.products = 2 * (layer.multiply_adds + layer.backward_multiply_adds) / rate
    return Profile(layers, batch_size, statistics.median(steps), rate / 1e9, len(steps))


class _Clock:
    """Adds up the seconds that one method of a module takes, from now on."""

    def __init__(self, module: Module, name: str) -> None:
        self.seconds = 0.0
        method = getattr(module, name)

        def timed(x: Tensor) -> Any:
            start = time.perf_counter()
            result = method(x)
            self.seconds += time.perf_counter() - start
            return result

        object.__setattr__(module, name, timed)

    def read(self) -> float:
        """Return the seconds since the last reading."""
        seconds, self.seconds = self.seconds, 0.0
        return seconds


def _layers(network: LayerSpec, module: Module, shape: Shape, batch_size: int) -> list[LayerTime]:
    """Return the layers, copies of one layer as one, with their modules."""
    layers: dict[tuple[str | int, ...], LayerTime] = {}
    learned = False  # whether a layer in front learns something, so that the input gradient is asked for
    for path, depth, layer, input_shape, inside in _walk(network, module, shape, (), 0):
        container = bool(layer.inner(input_shape))
        entry = layers.setdefault(path, LayerTime(path, depth, layer, container, layer.output_shape(input_shape)))
        entry.modules.append(inside)
        if not container:
            multiply_adds = batch_size * layer.multiply_adds(input_shape)
            entry.multiply_adds += multiply_adds
            learns = bool(inside.param())
            entry.backward_multiply_adds += multiply_adds * (learns + learned)
            learned = learned or learns
    for path, entry in layers.items():
        if entry.container:
            content = [other for place, other in layers.items() if place[: len(path)] == path and not other.container]
            entry.multiply_adds = sum(other.multiply_adds for other in content)
            entry.backward_multiply_adds = sum(other.backward_multiply_adds for other in content)
    return list(layers.values())


def _walk(
    spec: LayerSpec, module: Module, shape: Shape, prefix: tuple[str | int, ...], depth: int
) -> Iterator[tuple[tuple[str | int, ...], int, LayerSpec, Shape, Module]]:
    """Yield each layer inside ``spec`` with its path, depth, input and module, containers before their content."""
    inner = spec.inner(shape)
    children = list((module.layers if isinstance(module, Container) else module).children().values())
    if len(children) != len(inner):
        return  # a stranger's container that keeps its layers in a way of its own is timed as a whole
    for (path, layer, input_shape), child in zip(inner, children, strict=True):
        yield (*prefix, *path), depth, layer, input_shape, child
        yield from _walk(layer, child, input_shape, (*prefix, *path), depth + 1)


def _product(like: Tensor) -> tuple[Callable[[], Any], int]:
    """Return a bare product of matrices, and its floating point operations."""
    a, b = (torch.randn(PRODUCT_SIDE, PRODUCT_SIDE, dtype=like.dtype, device=like.device) for _ in range(2))
    out = torch.empty_like(a)
    return lambda: torch.mm(a, b, out=out), 2 * PRODUCT_SIDE**3
