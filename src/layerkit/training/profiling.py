"""Measures the time of a training step, layer by layer.

The time of each layer is compared with the time of bare matrix products with as many multiply-adds. The forward pass
has those of the plain formula; the backward pass has as many for the weights, and as many again for the input. A layer
near 100 % is as fast as its plain formula can be. A layer above 100 % needs fewer multiplications than that formula. A
layer far below spends its time on something else.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from layerkit.builtin.losses.mse import MSE
from layerkit.builtin.optimizers.sgd import SGD
from layerkit.contracts.module import Module
from layerkit.contracts.specs import LayerSpec, Shape
from layerkit.contracts.watching import Backward, Forward, watching
from layerkit.devices import wait_for
from layerkit.spec.architecture import Architecture, build
from layerkit.spec.text import Path
from layerkit.spec.tracing import built_from, trace
from layerkit.training.trainer import Trainer

PRODUCT_SIDE = 512
"""The number of rows and columns of the matrices whose product is timed as the bare product."""
MAX_STEPS = 1000


@dataclass
class LayerTime:
    """The time of one layer of the spec in a step, all copies together; a container includes its content.

    Attributes:
        path: the JSON path of the layer in the architecture.
        depth: the number of containers around it.
        multiply_adds: the multiply-adds of the forward pass of the whole mini-batch, by the plain formula.
        forward, backward: seconds of the two passes.
        products: seconds of the bare products of both passes.
    """

    path: Path
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
    """The layers, in order, and the seconds of a whole step.

    The time that does not belong to a layer was used by the loss, the optimizer and the slicing of the mini-batch.
    """

    layers: list[LayerTime]
    batch_size: int
    step: float
    gflops: float
    steps: int


def profile(
    architecture: Architecture, batch_size: int, seconds: float = 3.0, device: torch.device | str = "cpu"
) -> Profile:
    """Return the times of a training step on random pictures, medians over as many steps as ``seconds`` allow.

    The learning rate is 0, so that nothing diverges. The slices of a large mini-batch are counted together.
    """
    training = architecture.training
    device = torch.device(device)
    network = build(architecture, seed=0).to(device=device)
    trainer = Trainer(network, training.loss.build() if training else MSE(), SGD(network.param(), lr=0.0))
    generator = torch.Generator().manual_seed(0)
    noisy = torch.rand(batch_size, *architecture.input.shape, generator=generator)
    target = torch.rand(batch_size, *architecture.network.output_shape(architecture.input.shape), generator=generator)
    noisy, target = noisy.to(device), target.to(device)
    layers = _layers(architecture, network, batch_size)
    trainer.step(noisy, target)
    trainer.step(noisy, target)
    clocks = [(layer, module, _Clock(device)) for layer in layers for module in layer.modules]
    product, operations = _product(noisy)
    rates: list[float] = []
    steps: list[float] = []
    end = time.perf_counter() + seconds
    with watching((module, clock) for _, module, clock in clocks):
        while len(steps) < 3 or (time.perf_counter() < end and len(steps) < MAX_STEPS):
            start = time.perf_counter()
            trainer.step(noisy, target)
            wait_for(device)
            steps.append(time.perf_counter() - start)
            for _, _, clock in clocks:
                clock.end_step()
            start = time.perf_counter()
            product()
            wait_for(device)
            rates.append(operations / (time.perf_counter() - start))
    rate = statistics.median(rates)
    for layer in layers:
        # The median over all steps of all copies, for each of them.
        own = [clock for timed, _, clock in clocks if timed is layer]
        layer.forward = len(own) * statistics.median(time for clock in own for time in clock.forward_times)
        layer.backward = len(own) * statistics.median(time for clock in own for time in clock.backward_times)
        layer.products = 2 * (layer.multiply_adds + layer.backward_multiply_adds) / rate
    return Profile(layers, batch_size, statistics.median(steps), rate / 1e9, len(steps))


class _Clock:
    """Times the methods of one module; a step calls each of them once for every slice of the mini-batch.

    Args:
        device: that does the work; it is waited for before and after each call.

    Attributes:
        forward_times, backward_times: the seconds in each step so far.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self.forward_times: list[float] = []
        self.backward_times: list[float] = []
        self._forward = self._backward = 0.0

    def forward(self, method: Forward, x: Tensor) -> Tensor:
        """Call ``method``, and count its time."""
        start = self._now()
        result = method(x)
        self._forward += self._now() - start
        return result

    def backward(self, method: Backward, grad_output: Tensor) -> Tensor | None:
        """Call ``method``, and count its time."""
        start = self._now()
        result = method(grad_output)
        self._backward += self._now() - start
        return result

    def _now(self) -> float:
        wait_for(self._device)
        return time.perf_counter()

    def end_step(self) -> None:
        """Store the times of this step, and start the next."""
        self.forward_times.append(self._forward)
        self.backward_times.append(self._backward)
        self._forward = self._backward = 0.0


def _layers(architecture: Architecture, network: Module, batch_size: int) -> list[LayerTime]:
    """Return the layers with their modules; the copies of a layer count as one.

    If a plugin's container builds the layers inside it in its own way, they are left out: it is timed as a whole.
    """
    layers: dict[Path, LayerTime] = {}
    learned = False  # whether an earlier layer has parameters, so that the input gradient is needed
    steps = trace(architecture.network, architecture.input.shape)
    for step in steps:
        blank = LayerTime(step.path, step.depth, step.layer, step.container, step.output_shape)
        entry = layers.setdefault(step.path, blank)
        if not step.container:
            multiply_adds, learns = batch_size * step.multiply_adds, step.parameters > 0
            entry.multiply_adds += multiply_adds
            entry.backward_multiply_adds += multiply_adds * (learns + learned)
            learned = learned or learns
    for path, entry in layers.items():
        if entry.container:
            content = [other for place, other in layers.items() if place[: len(path)] == path and not other.container]
            entry.multiply_adds = sum(other.multiply_adds for other in content)
            entry.backward_multiply_adds = sum(other.backward_multiply_adds for other in content)
    for step, module in built_from(steps, network):
        layers[step.path].modules.append(module)
    return [layer for layer in layers.values() if layer.modules]


def _product(like: Tensor) -> tuple[Callable[[], Any], int]:
    """Return a function that computes a bare matrix product, and the number of its floating point operations."""
    a, b = (torch.randn(PRODUCT_SIDE, PRODUCT_SIDE, dtype=like.dtype, device=like.device) for _ in range(2))
    out = torch.empty_like(a)
    return lambda: torch.mm(a, b, out=out), 2 * PRODUCT_SIDE**3
