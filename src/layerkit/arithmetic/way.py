"""The base class of the ways of computing a convolution, and the interface of the layer that they compute."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from layerkit.arithmetic.passes import Pass
from layerkit.arithmetic.windows import Pair
from layerkit.contracts.module import Module


class KernelLayer(Module):
    """The interface of a layer with a kernel that the ways of computing it use.

    Attributes:
        weight, weight_grad: the learned kernel and its gradient.
        bias, bias_grad: (out_channels,); a layer without a bias has None as ``bias``, and no ``bias_grad``.
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
        """Return a contiguous view of the weight, or of its gradient, with the dimensions in memory order."""


class Way(ABC):
    """One way of computing a convolution, forward and backward, in the memory that its layer provides.

    Args:
        layer: the layer; its ``empty``, ``scratch``, ``save`` and ``carry_out`` are used.

    Attributes:
        memory_order: the order in memory of the dimensions (O, C, kh, kw) of the weight, chosen so that the weight can
            be multiplied without a copy.
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
        """Add to the layer's gradients; return (N, C, H, W), or None if ``needs_input_grad`` is False."""
        layer = self.layer
        *kept, shape = layer.saved()
        name = "backward" if layer.needs_input_grad else "backward without input"
        tensors = grad_output, *kept, layer.weight, *layer.gradients()
        return layer.carry_out(name, tensors, lambda: self.plan_backward(grad_output, tuple(kept), shape)).result

    @abstractmethod
    def plan_forward(self, x: Tensor, size: Pair) -> Pass[Tensor]:
        """Return the pass of :meth:`forward`, with the tensors that the backward pass needs as ``kept``."""

    @abstractmethod
    def plan_backward(self, grad_output: Tensor, kept: tuple[Tensor, ...], shape: torch.Size) -> Pass[Tensor | None]:
        """Return the pass of :meth:`backward`.

        Args:
            grad_output: (N, O, *size).
            kept: the tensors that :meth:`plan_forward` keeps.
            shape: the shape of x.
        """
