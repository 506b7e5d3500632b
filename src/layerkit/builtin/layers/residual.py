"""A residual connection: the input of a sequence of layers is added to their output.

Forward, with f the layers inside: y = x + f(x), all of one shape.

Backward, x enters y in two ways, and its gradient is the sum over both: grad_x = grad_output + f.backward(grad_output)
(He et al. 2016, "Deep residual learning for image recognition", figure 2).
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from layerkit.builtin.layers.container import Container
from layerkit.contracts.registered import AnyLayer
from layerkit.contracts.specs import Inner, LayerSpec, Shape, chain, twin_around
from layerkit.contracts.twin import Twin
from layerkit.errors import ShapeError


class ResidualSpec(LayerSpec):
    """Layers whose output is added to their input: y = x + f(x), with f the layers inside, which keep the shape."""

    example: ClassVar[dict[str, Any]] = {
        "layers": [{"type": "conv2d", "out_channels": 3, "kernel_size": 3, "padding": 1}]
    }

    type: Literal["residual"] = Field(description="The name of the layer.")
    layers: tuple[AnyLayer, ...] = Field(
        strict=False, min_length=1, max_length=10_000, description="The layers f, first to last."
    )

    def output_shape(self, input_shape: Shape) -> Shape:
        shape = chain(self.layers, input_shape)[1]
        _check_same(shape, input_shape)
        return shape

    def inner(self, input_shape: Shape) -> tuple[Inner, ...]:
        return chain(self.layers, input_shape)[0]

    def twin(self, input_shape: Shape) -> Twin | None:
        return twin_around("Residual", self.inner(input_shape))

    def build(self, input_shape: Shape, generator: torch.Generator) -> Residual:
        return Residual(*(inner.layer.build(inner.input_shape, generator) for inner in self.inner(input_shape)))


class Residual(Container):
    """``Residual(first, second, ...)``: y = x + f(x)."""

    leaves_gradients = True

    def forward(self, x: Tensor) -> Tensor:
        """Return x + f(x).

        Raises:
            ShapeError: when a layer inside cannot take its input, or f(x) has another shape than x.
        """
        y = self.layers.forward(x)
        _check_same(tuple(y.shape[1:]), tuple(x.shape[1:]))
        # Not in place, since the last layer may have kept y. y comes first, because a sum takes the memory order of its
        # first term.
        both = torch.add(y, x, out=self.empty_like("y", y))
        self.release(y, x)
        return both

    def backward(self, grad_output: Tensor) -> Tensor | None:
        """Return the gradient with respect to ``x``, or None if it is not needed."""
        grad = self.layers.backward(grad_output)
        return None if grad is None else torch.add(grad, grad_output, out=self.empty_like("grad_input", grad))


def _check_same(output_shape: Shape, input_shape: Shape) -> None:
    if output_shape != input_shape:
        given, wanted = ("x".join(map(str, shape)) for shape in (output_shape, input_shape))
        raise ShapeError(
            f"residual adds its input to the output of its layers, but they make {given} of {wanted}; "
            "let them keep the shape, by padding and by as many channels at the end"
        )
