"""Layers one after the other (section II.G of the report).

Forward, y = f_n( ... f_2(f_1(x))). Backward, the chain rule from the last layer to the first: each layer turns the
gradient with respect to its output into the one with respect to its input, which is the output of the layer before.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from layerkit.builtin.layers.convolution import Convolution
from layerkit.builtin.layers.relu import ReLU
from layerkit.contracts.module import Module
from layerkit.contracts.registered import AnyLayer
from layerkit.contracts.specs import Inner, LayerSpec, Shape, chain, twin_around
from layerkit.contracts.twin import Twin
from layerkit.contracts.watching import is_watched
from layerkit.errors import InputError


class SequentialSpec(LayerSpec):
    """Layers one after the other: y = f_n( ... f_2(f_1(x)))."""

    example: ClassVar[dict[str, Any]] = {
        "layers": [{"type": "conv2d", "out_channels": 8, "kernel_size": 3, "padding": 1}, {"type": "relu"}]
    }

    type: Literal["sequential"] = Field(description="The name of the layer.")
    layers: tuple[AnyLayer, ...] = Field(strict=False, max_length=10_000, description="The layers, first to last.")

    def output_shape(self, input_shape: Shape) -> Shape:
        return chain(self.layers, input_shape)[1]

    def inner(self, input_shape: Shape) -> tuple[Inner, ...]:
        return chain(self.layers, input_shape)[0]

    def twin(self, input_shape: Shape) -> Twin | None:
        return twin_around("Sequential", self.inner(input_shape))

    def build(self, input_shape: Shape, generator: torch.Generator) -> Sequential:
        return Sequential(*(inner.layer.build(inner.input_shape, generator) for inner in self.inner(input_shape)))


class Sequential(Module):
    """``Sequential(first, second, ...)``; it is itself a layer, so sequences nest."""

    leaves_gradients = True

    def __init__(self, *layers: Module) -> None:
        super().__init__()
        self.layers = layers

    def children(self) -> dict[str, Module]:
        return {str(index): layer for index, layer in enumerate(self.layers)}

    def __len__(self) -> int:
        return len(self.layers)

    def __getitem__(self, index: int) -> Module:
        return self.layers[index]

    @property
    def needs_input_grad(self) -> bool:
        return all(layer.needs_input_grad for layer in self.layers)

    @needs_input_grad.setter
    def needs_input_grad(self, needed: bool) -> None:
        # Layers before the first one with parameters need no gradient.
        for layer in self.layers:
            layer.needs_input_grad = needed
            # It is set in every step, and to list all parameters would take longer than a short step on a GPU.
            if any(module.parameters() for _, module in layer.modules()):
                return

    def forward(self, x: Tensor) -> Tensor:
        """Return the output of the last layer; a copy of ``x`` where there are no layers.

        Raises:
            ShapeError, TensorError: when a layer cannot take its input, with the path of that layer.
        """
        if not self.layers:
            return x.clone()
        index, given = 0, x
        while index < len(self.layers):
            together, before = self._rectified(index), x
            try:
                x = self.layers[index].forward(x) if together is None else together.rectified(x)
            except InputError as error:
                raise error.inside("layers", index) from error.__cause__
            self.release(before, x, given)
            index += 1 if together is None else 2
        return x

    def _rectified(self, index: int) -> Convolution | None:
        """Return the convolution at ``index`` if it can compute the ReLU that follows in the same pass over memory.

        That is not possible in training mode, where each layer keeps tensors for its backward pass, nor if the
        ``forward`` of either layer was replaced by a subclass or a watcher.
        """
        pair = self.layers[index : index + 2]
        if self.training or len(pair) < 2 or any(map(is_watched, pair)):
            return None
        convolution, following = pair
        if not isinstance(convolution, Convolution) or type(convolution).forward is not Convolution.forward:
            return None
        return convolution if type(following) is ReLU else None

    def backward(self, grad_output: Tensor) -> Tensor | None:
        """Return the gradient with respect to the first layer's input, or None if it is not needed."""
        if not self.layers:
            return grad_output.clone()
        grad: Tensor | None = grad_output
        for layer in reversed(self.layers):
            if grad is None:
                break
            grad = layer.backward(grad)
        return grad
