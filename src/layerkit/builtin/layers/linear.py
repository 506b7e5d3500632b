"""Affine map.

Forward, for an input x (N, C), a weight (O, C) and a bias (O,): y = x weight^T + bias.

Backward, from that product:

    weight_grad += grad_output^T x        bias_grad += column sums of grad_output        grad_x = grad_output weight.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal, Unpack

import torch
from pydantic import Field
from torch import Tensor

from layerkit.builtin.layers.initialization import Start, xavier_normal
from layerkit.contracts.fields import Channels
from layerkit.contracts.module import Module
from layerkit.contracts.specs import LayerSpec, Shape
from layerkit.errors import ShapeError


class LinearSpec(LayerSpec):
    """Affine map of a sample of features: y[o] = bias[o] + sum over c of weight[o, c] x[c]."""

    example: ClassVar[dict[str, Any]] = {"out_features": 10}

    type: Literal["linear"] = Field(description="The name of the layer.")
    out_features: Channels = Field(description="Features of the output.")
    bias: bool = Field(default=True, description="Whether a learned number is added to each output feature.")

    def output_shape(self, input_shape: Shape) -> Shape:
        if len(input_shape) != 1:
            raise ShapeError(
                f"linear takes samples of features (features,), not {tuple(input_shape)}; "
                'put {"type": "flatten"} before it'
            )
        return (self.out_features,)

    def parameter_count(self, input_shape: Shape) -> int:
        return self.out_features * (input_shape[0] + self.bias)

    def multiply_adds(self, input_shape: Shape) -> int:
        return self.out_features * input_shape[0]

    def build(self, input_shape: Shape, generator: torch.Generator) -> Linear:
        return Linear(input_shape[0], self.out_features, self.bias, generator=generator)

    def reference(self, input_shape: Shape) -> tuple[str, dict[str, Any]]:
        return "Linear", {"in_features": input_shape[0], "out_features": self.out_features, "bias": self.bias}


class Linear(Module):
    """Affine map of a batch of features, with the arguments of its torch namesake.

    Args:
        in_features: features of the input.
        out_features: features of the output.
        bias: whether a learned number is added to each output feature.
        start: dtype, device and generator, see :class:`~layerkit.builtin.layers.initialization.Start`.

    Attributes:
        weight: (out_features, in_features), Xavier-normal at first.
        bias: (out_features,), zero at first; None for a layer without a bias.
    """

    weight: Tensor
    weight_grad: Tensor
    bias: Tensor | None
    bias_grad: Tensor

    def __init__(
        self, in_features: Channels, out_features: Channels, bias: bool = True, **start: Unpack[Start]
    ) -> None:
        super().__init__()
        self.in_features, self.out_features = in_features, out_features
        weight = xavier_normal((out_features, in_features), in_features, out_features, **start)
        self.add_parameter("weight", weight)
        self.bias = None
        if bias:
            self.add_parameter("bias", weight.new_zeros(out_features))

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, out_features) for x (N, in_features).

        Raises:
            ShapeError: when x has another number of dimensions or features.
        """
        if x.dim() != 2 or x.shape[1] != self.in_features:
            raise ShapeError(f"Linear: expected an input of (N, {self.in_features}), not {tuple(x.shape)}")
        self.save(x)
        return x @ self.weight.t() if self.bias is None else torch.addmm(self.bias, x, self.weight.t())

    def backward(self, grad_output: Tensor) -> Tensor | None:
        """Add to ``weight_grad`` and ``bias_grad``; return (N, in_features), or None if it is not needed."""
        (x,) = self.saved()
        self.weight_grad.addmm_(grad_output.t(), x)
        if self.bias is not None:
            self.bias_grad.add_(grad_output.sum(0))
        return grad_output @ self.weight if self.needs_input_grad else None
