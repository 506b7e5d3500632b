"""Rectified linear unit with a learned slope.

Forward, for an input x (N, C, ...) and a weight a of one number, or one for each channel: y = x where x > 0, else a x.

Backward, with 1[...] one where the condition holds and zero elsewhere:

    grad_x = (1[x > 0] + a 1[x <= 0]) grad_output        weight_grad += sum over a's elements of min(x, 0) grad_output

(He et al. 2015, "Delving deep into rectifiers", equations 1, 8 and 10). At x = 0 the slope a is used, as in torch.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
from layerkit import Channels, FloatDtype, LayerSpec, Module, Shape, ShapeError
from pydantic import Field
from torch import Tensor


class PReLUSpec(LayerSpec):
    """Rectified linear unit with a learned slope: y = x where x > 0, else weight x."""

    kinked = True
    example: ClassVar[dict[str, Any]] = {"init": 0.25, "per_channel": True}

    type: Literal["prelu"] = Field(description="The name of the layer.")
    init: float = Field(default=0.25, ge=-1, le=1, description="The slope below zero at first.")
    per_channel: bool = Field(default=False, description="Whether each channel learns its own slope.")

    def output_shape(self, input_shape: Shape) -> Shape:
        if not input_shape:
            raise ShapeError("prelu takes samples with channels, (channels, ...), not single numbers")
        return input_shape

    def parameter_count(self, input_shape: Shape) -> int:
        return input_shape[0] if self.per_channel else 1

    def build(self, input_shape: Shape, generator: torch.Generator) -> PReLU:
        return PReLU(self.parameter_count(input_shape), self.init)

    def reference(self, input_shape: Shape) -> tuple[str, dict[str, Any]]:
        return "PReLU", {"num_parameters": self.parameter_count(input_shape), "init": self.init}


class PReLU(Module):
    """Rectified linear unit with a learned slope, with the arguments of its torch namesake.

    Args:
        num_parameters: 1, or the number of channels.
        init: the slope at first.
        dtype, device: the dtype and device of the parameter; torch's defaults when None.

    Attributes:
        weight: (num_parameters,).
    """

    weight: Tensor
    weight_grad: Tensor

    def __init__(
        self,
        num_parameters: Channels = 1,
        init: float = 0.25,
        *,
        dtype: FloatDtype | None = None,
        device: torch.device | str | None = None,
    ) -> None:
        super().__init__()
        self.add_parameter("weight", torch.full((num_parameters,), init, dtype=dtype, device=device))

    def forward(self, x: Tensor) -> Tensor:
        """Return a tensor of the shape of ``x``, which is (N, C, ...).

        Raises:
            ShapeError: when x has no channels, or another number of channels than there are slopes.
        """
        if x.dim() < 2 or len(self.weight) not in (1, x.shape[1]):
            channels = "C" if len(self.weight) == 1 else len(self.weight)
            raise ShapeError(f"PReLU: expected an input of (N, {channels}, ...), not {tuple(x.shape)}")
        self.save(x)
        return x.clamp(max=0).mul_(self._slopes(x)).add_(x.clamp(min=0))

    def backward(self, grad_output: Tensor) -> Tensor:
        """Add to ``weight_grad`` and return the gradient with respect to ``x``."""
        x: Tensor
        (x,) = self.saved()
        products = x.clamp(max=0).mul_(grad_output)
        self.weight_grad.add_(
            products.sum() if len(self.weight) == 1 else products.sum([dim for dim in range(x.dim()) if dim != 1])
        )
        # 1 where x > 0, and the slope elsewhere; a boolean mask would be slower.
        slopes = self._slopes(x)
        return x.sign().clamp_(min=0).mul_(1 - slopes).add_(slopes).mul_(grad_output)

    def _slopes(self, x: Tensor) -> Tensor:
        return self.weight.view(-1, *[1] * (x.dim() - 2))
