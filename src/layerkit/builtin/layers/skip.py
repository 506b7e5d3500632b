"""A skip connection: the input of a sequence of layers is concatenated with their output.

Forward, with f the layers inside, along the channels: y = cat(x, f(x)), the input's channels first.

Backward, the first C channels of grad_output belong to x itself and the others to f(x):
grad_x = grad_output[:, :C] + f.backward(grad_output[:, C:]). Nested, these are the long connections of a U-Net
(Ronneberger et al. 2015, "U-Net: convolutional networks for biomedical image segmentation", figure 1).
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from layerkit.arithmetic.windows import channels_first, channels_last
from layerkit.builtin.layers.container import Container
from layerkit.contracts.registered import AnyLayer
from layerkit.contracts.specs import Inner, LayerSpec, Shape, chain, twin_around
from layerkit.contracts.twin import Twin
from layerkit.errors import ShapeError


class SkipSpec(LayerSpec):
    """Layers whose output is concatenated with their input, by channels: y = cat(x, f(x)), with f the layers inside."""

    example: ClassVar[dict[str, Any]] = {
        "layers": [{"type": "conv2d", "out_channels": 8, "kernel_size": 3, "padding": 1}]
    }

    type: Literal["skip"] = Field(description="The name of the layer.")
    layers: tuple[AnyLayer, ...] = Field(
        strict=False, min_length=1, max_length=10_000, description="The layers f, first to last; they keep the size."
    )

    def output_shape(self, input_shape: Shape) -> Shape:
        if not input_shape:
            raise ShapeError("skip takes samples with channels, (channels, ...), not single numbers")
        shape = chain(self.layers, input_shape)[1]
        _check_same_size(shape, input_shape)
        return input_shape[0] + shape[0], *input_shape[1:]

    def inner(self, input_shape: Shape) -> tuple[Inner, ...]:
        return chain(self.layers, input_shape)[0]

    def twin(self, input_shape: Shape) -> Twin | None:
        return twin_around("Skip", self.inner(input_shape))

    def build(self, input_shape: Shape, generator: torch.Generator) -> Skip:
        return Skip(*(inner.layer.build(inner.input_shape, generator) for inner in self.inner(input_shape)))


class Skip(Container):
    """``Skip(first, second, ...)``: y = cat(x, f(x)) along the channels."""

    leaves_gradients = True

    def forward(self, x: Tensor) -> Tensor:
        """Return cat(x, f(x)).

        Raises:
            ShapeError: when a layer inside cannot take its input, or f(x) has another height or width than x.
        """
        y = self.layers.forward(x)
        _check_same_size(tuple(y.shape[1:]), tuple(x.shape[1:]))
        self.save(x.shape[1])
        if x.dim() != 4:
            return torch.cat((x, y), 1)
        n, _, height, width = x.shape
        both = self.empty("y", (n, height, width, x.shape[1] + y.shape[1]), x)
        both[..., : x.shape[1]] = channels_last(x)
        both[..., x.shape[1] :] = channels_last(y)
        self.release(y, x)
        return channels_first(both)

    def backward(self, grad_output: Tensor) -> Tensor | None:
        """Return the gradient with respect to ``x``, or None if ``needs_input_grad`` is False."""
        (channels,) = self.saved()
        grad = self.layers.backward(grad_output[:, channels:])
        if grad is None:
            return None
        return torch.add(grad, grad_output[:, :channels], out=self.empty_like("grad_input", grad))


def _check_same_size(output_shape: Shape, input_shape: Shape) -> None:
    if output_shape[1:] != input_shape[1:] or len(output_shape) != len(input_shape):
        given, wanted = ("x".join(map(str, shape)) for shape in (output_shape, input_shape))
        raise ShapeError(
            f"skip concatenates its input and the output of its layers, but they make {given} of {wanted}; "
            "let them keep height and width: pad, or enlarge as often as you shrink a size that divides evenly"
        )
