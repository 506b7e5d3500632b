"""Copies of a sequence of layers, one after the other.

Forward, with f_1 .. f_k copies of the layers inside, each with weights of its own: y = f_k( ... f_2(f_1(x))).

Backward, the chain rule from the last copy to the first, as in a sequence. The numbers of copies multiply where repeats
are nested, so the layers of a spec are counted before any is built.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal, Self, TypeVar

import torch
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError
from torch import Tensor

from layerkit.builtin.layers.container import Container
from layerkit.contracts.module import Module
from layerkit.contracts.registered import AnyLayer
from layerkit.contracts.specs import Inner, LayerSpec, Shape, chain, twin_around
from layerkit.contracts.twin import Twin
from layerkit.errors import InputError, ShapeError

Failed = TypeVar("Failed", bound=InputError)

MAX_LAYERS = 10_000
"""The largest number of layers that a repeat may expand to."""


class RepeatSpec(LayerSpec):
    """The same layers several times, one after the other, each time with weights of their own."""

    example: ClassVar[dict[str, Any]] = {
        "times": 8,
        "layers": [{"type": "conv2d", "out_channels": 8, "kernel_size": 3, "padding": 1}],
    }

    type: Literal["repeat"] = Field(description="The name of the layer.")
    times: int = Field(ge=1, le=1000, description="The number of copies.")
    layers: tuple[AnyLayer, ...] = Field(
        strict=False, min_length=1, max_length=10_000, description="The layers of one copy, first to last."
    )

    @model_validator(mode="after")
    def _check_bounded(self) -> Self:
        count = expanded_count(self)
        if count > MAX_LAYERS:
            raise PydanticCustomError(
                "component",
                "{times} copies make {count} layers, with repeats inside counted, but at most {limit} are built; "
                "use fewer times",
                {"times": self.times, "count": _short(count), "limit": f"{MAX_LAYERS:,}"},
            )
        return self

    def output_shape(self, input_shape: Shape) -> Shape:
        return self._copies(input_shape)[1]

    def inner(self, input_shape: Shape) -> tuple[Inner, ...]:
        return self._copies(input_shape)[0]

    def twin(self, input_shape: Shape) -> Twin | None:
        return twin_around("Sequential", self.inner(input_shape))

    def build(self, input_shape: Shape, generator: torch.Generator) -> Repeat:
        layers = (inner.layer.build(inner.input_shape, generator) for inner in self.inner(input_shape))
        return Repeat(*layers, times=self.times)

    def _copies(self, input_shape: Shape) -> tuple[tuple[Inner, ...], Shape]:
        """Return the layers of all copies, with the same paths in every copy, and the shape of the output."""
        inner: tuple[Inner, ...] = ()
        shape = input_shape
        for copy in range(self.times):
            before = shape
            try:
                layers, shape = chain(self.layers, before)
            except ShapeError as error:
                raise _in_copy(error, copy, self.times) from None
            if shape == before:
                return inner + layers * (self.times - copy), shape
            inner += layers
        return inner, shape


class Repeat(Container):
    """Copies of layers, one after the other.

    Args:
        layers: the layers of all copies, copy by copy.
        times: the number of copies.
    """

    leaves_gradients = True

    def __init__(self, *layers: Module, times: int) -> None:
        super().__init__(*layers)
        if times < 1 or len(layers) % times:
            raise ShapeError(
                f"Repeat: {len(layers)} layers are not {times} copies of the same; give all copies' layers"
            )
        self.times = times

    def forward(self, x: Tensor) -> Tensor:
        """Return the output of the last copy.

        Raises:
            ShapeError, TensorError: when a layer cannot take its input, with its path and its copy.
        """
        try:
            return self.layers.forward(x)
        except InputError as error:
            (field, number, *rest), length = error.path, len(self.layers) // self.times
            index = int(number)
            seen = type(error)(error.message, (field, index % length, *rest))
            raise _in_copy(seen, index // length, self.times) from error.__cause__

    def backward(self, grad_output: Tensor) -> Tensor | None:
        """Return the gradient with respect to the first copy's input, or None if ``needs_input_grad`` is False."""
        return self.layers.backward(grad_output)


def expanded_count(*layers: LayerSpec) -> int:
    """Return how many layers are built for ``layers``, counting nested layers and every copy."""
    count = 0
    for layer in layers:
        fields = (value if isinstance(value, tuple) else (value,) for _, value in layer)
        inside = expanded_count(*(item for items in fields for item in items if isinstance(item, LayerSpec)))
        count += 1 + inside * (layer.times if isinstance(layer, RepeatSpec) else 1)
    return count


def _in_copy(error: Failed, copy: int, times: int) -> Failed:
    """Return the error with the number of the copy in its message, unless it is the first copy."""
    return type(error)(f"in copy {copy + 1} of {times}: {error.message}", error.path) if copy else error


def _short(count: int) -> str:
    return f"{count:,}" if count < 10**12 else "far too many"
