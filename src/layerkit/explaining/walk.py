"""A forward and a backward pass through a network, layer by layer, in double precision on a tiny input.

Inputs are tenths and weights hundredths, so that the numbers can be followed on paper.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor

from layerkit.builtin.losses.mse import MSE
from layerkit.contracts.module import Module
from layerkit.contracts.specs import LayerSpec, Shape
from layerkit.contracts.watching import Backward, Forward, watching
from layerkit.errors import ShapeError, UserError
from layerkit.spec.architecture import Architecture, build
from layerkit.spec.tracing import built_from, trace
from layerkit.wording import json_path

SMALLEST, LARGEST = 3, 64
"""Sides of the tiny input, in pixels, that are tried; the declared size is taken where none of them fits."""


@dataclass(frozen=True)
class Passed:
    """What went through one layer.

    Attributes:
        place: of the layer in the file; copies of a repeated layer have the same.
        layer: its spec.
        module: what was built from it, in training mode, as it was before the pass.
        x, y: (1, ...), input and output.
        grad_y: (1, ...), the gradient of the loss with respect to y.
        grad_x: (1, ...), that with respect to x; None where it is not needed.
        gradients: of the loss with respect to the parameters, by name.
    """

    place: str
    layer: LayerSpec
    module: Module
    x: Tensor
    y: Tensor
    grad_y: Tensor
    grad_x: Tensor | None
    gradients: dict[str, Tensor]


@dataclass(frozen=True)
class Walk:
    """One training step, before the optimizer: the layers in order, and the loss of their output."""

    input_shape: Shape
    layers: list[Passed]
    loss: float
    loss_name: str
    target: Tensor


class _Recorder:
    """Keeps what goes through one module."""

    def __init__(self, module: Module) -> None:
        self.before = deepcopy(module)
        self.x = self.y = self.grad_y = torch.empty(0)
        self.grad_x: Tensor | None = None

    def forward(self, method: Forward, x: Tensor) -> Tensor:
        y = method(x)
        self.x, self.y = x.clone(), y.clone()
        return y

    def backward(self, method: Backward, grad_output: Tensor) -> Tensor | None:
        grad = method(grad_output)
        self.grad_y, self.grad_x = grad_output.clone(), None if grad is None else grad.clone()
        return grad


def walk(architecture: Architecture, seed: int = 0, size: int | None = None) -> Walk:
    """Return what one step does in a network with weights drawn by ``seed``.

    Args:
        architecture: of the network.
        size: height and width of the input in pixels; None for the smallest from 3 on that the network takes.

    Raises:
        UserError: when the network takes no pictures of this size.
    """
    shape = _tiny(architecture, size)
    picture = architecture.input.model_copy(update={"height": shape[1], "width": shape[2]})
    architecture = architecture.model_copy(update={"input": picture})
    generator = torch.Generator().manual_seed(seed)
    network = build(architecture, seed).to(dtype=torch.float64).train()
    for weight, _ in network.param():
        weight.copy_(weight.mul(100).round().div(100))
    loss = architecture.training.loss.build() if architecture.training else MSE()
    x, target = _tenths(shape, generator), _tenths(architecture.network.output_shape(shape), generator)
    leaves = [step for step in trace(architecture.network, shape) if not step.container]
    recorders = [(step, module, _Recorder(module)) for step, module in built_from(leaves, network)]
    with watching((module, recorder) for _, module, recorder in recorders):
        value = loss.forward(network(x), target)
        network.backward(loss.backward())
    layers = [
        Passed(
            json_path(step.path),
            step.layer,
            recorder.before,
            recorder.x,
            recorder.y,
            recorder.grad_y,
            recorder.grad_x,
            {name: gradient.clone() for name, (_, gradient) in module.named_param().items()},
        )
        for step, module, recorder in recorders
    ]
    name = architecture.training.loss.type if architecture.training else "mse"
    return Walk(shape, layers, float(value), name, target)


def _tiny(architecture: Architecture, size: int | None) -> Shape:
    declared = architecture.input.shape
    for side in range(SMALLEST, LARGEST + 1) if size is None else (size,):
        shape = (declared[0], side, side)
        try:
            if all(architecture.network.output_shape(shape)):
                return shape
        except ShapeError as error:
            if size is not None:
                raise UserError(f"the network takes no pictures of {size} x {size} pixels: {error}") from None
    return declared


def _tenths(shape: Shape, generator: torch.Generator) -> Tensor:
    return torch.randint(1, 10, (1, *shape), generator=generator).double().div(10)
