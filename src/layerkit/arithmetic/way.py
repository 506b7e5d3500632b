"""What the ways of computing a convolution share: the layer that they work for, and the course of its two passes."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from layerkit.arithmetic.passes import Pass
from layerkit.arithmetic.windows import Pair
from layerkit.contracts.module import Module


class KernelLayer(Module):
    """A layer with a kernel, as the ways of computing it know it.

    Attributes:
        weight, weight_grad: the learned kernel and its gradient.
        bias, bias_grad: (out_channels,); without a bias it is None, and there is no gradient.
    """

    in_channels: int
    out_channels: int
    kernel_size: Pair
    weight: Tensor
    weight_grad: Tensor
    bias: Tensor | None
    bias_grad: Tensor

    @abstractmethod
    def in_memory(self, weight: Tensor) -> Tensor:
        """Return the weight, or its gradient, with its dimensions as they lie in memory: a contiguous view."""


class Way(ABC):
    """One way of computing a convolution, forwards and backwards, in the memory that its layer is given.

    Args:
        layer: whose ``empty``, ``scratch``, ``save`` and ``carry_out`` are used.

    Attributes:
        memory_order: of the dimensions (O, C, kh, kw) of the weight in memory, such that it multiplies as it lies.
    """

    memory_order: tuple[int, int, int, int]

    def __init__(self, layer: KernelLayer) -> None:
        self.layer = layer

    def forward(self, x: Tensor, size: Pair) -> Tensor:
        """Return (N, O, *size) for x (N, C, H, W)."""
        layer = self.layer
        name = "forward" if layer.training else "evaluation"
        done = layer.carry_out(name, (x, *layer.parameters()), lambda: self.plan_forward(x, size))
        layer.save(*done.kept, x.shape)
        return done.result

    def backward(self, grad_output: Tensor) -> Tensor | None:
        """Add to the layer's gradients; return (N, C, H, W), or None if nobody needs it."""
        layer = self.layer
        *kept, shape = layer.saved()
        name = "backward" if layer.needs_input_grad else "backward without input"
        tensors = grad_output, *kept, layer.weight, *layer.gradients()
        return layer.carry_out(name, tensors, lambda: self.plan_backward(grad_output, tuple(kept), shape)).result

    @abstractmethod
    def plan_forward(self, x: Tensor, size: Pair) -> Pass[Tensor]:
        """Return what :meth:`forward` does, and what the backward pass needs of it."""

    @abstractmethod
    def plan_backward(self, grad_output: Tensor, kept: tuple[Tensor, ...], shape: torch.Size) -> Pass[Tensor | None]:
        """Return what :meth:`backward` does.

        Args:
            grad_output: (N, O, *size).
            kept: what :meth:`plan_forward` keeps.
            shape: of x.
        """
