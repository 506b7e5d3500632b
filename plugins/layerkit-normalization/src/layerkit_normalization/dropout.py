"""Dropout.

Forward in training mode, for an input of any shape, with a mask m that is 0 with probability p and 1 else, drawn anew
for every value and call: y = m x / (1 - p), so that the mean of y is x. In evaluation mode y = x.

Backward, with the same mask: grad_x = m grad_output / (1 - p) (Srivastava et al. 2014, "Dropout: a simple way to
prevent neural networks from overfitting", section 10, where the factor is called inverted dropout).
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
from layerkit import LayerSpec, Module, Shape
from pydantic import Field
from torch import Tensor


class DropoutSpec(LayerSpec):
    """Dropout: in training y = 0 with probability p, else x / (1 - p); in evaluation y = x."""

    stochastic = True
    modal = True
    example: ClassVar[dict[str, Any]] = {"p": 0.1}

    type: Literal["dropout"] = Field(description="The name of the layer.")
    p: float = Field(default=0.5, ge=0, le=0.99, description="The probability that a value becomes zero.")

    def output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def build(self, input_shape: Shape, generator: torch.Generator) -> Dropout:
        # Its own generator, so that its numbers do not depend on other layers, and its state is saved with this layer.
        seed = torch.randint(2**63 - 1, (), generator=generator, device=generator.device)
        return Dropout(self.p, generator=torch.Generator(generator.device).manual_seed(int(seed)))

    def reference(self, input_shape: Shape) -> tuple[str, dict[str, Any]]:
        return "Dropout", {"p": self.p}


class Dropout(Module):
    """``Dropout(p=0.5)``.

    Args:
        p: the probability that a value becomes zero, less than 1.
        generator: the source of the masks, saved with the module's state; torch's default generator when None.
    """

    def __init__(self, p: float = 0.5, *, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.p, self.generator = p, generator

    def forward(self, x: Tensor) -> Tensor:
        """Return a tensor of the shape of ``x``."""
        if not self.training:
            return x.clone()
        mask = self._draw(x.shape).to(x)
        self.save(mask)
        return x * mask

    def backward(self, grad_output: Tensor) -> Tensor:
        """Return the gradient where the last forward kept the values, scaled like them."""
        mask: Tensor
        (mask,) = self.saved()
        return grad_output * mask

    def _draw(self, shape: torch.Size) -> Tensor:
        """Return a mask of 0 and 1 / (1 - p), the same whatever the precision and layout of the input."""
        device = None if self.generator is None else self.generator.device
        if len(shape) == 4:
            n, channels, height, width = shape
            uniform = torch.empty(n, height, width, channels, dtype=torch.float32, device=device).permute(0, 3, 1, 2)
        else:
            uniform = torch.empty(shape, dtype=torch.float32, device=device)
        # A uniform number minus p, rounded down, is -1 with probability p, else 0; bernoulli_ is much slower.
        factor = 1 / (1 - self.p)
        return uniform.uniform_(generator=self.generator).sub_(self.p).floor_().mul_(factor).add_(factor)
