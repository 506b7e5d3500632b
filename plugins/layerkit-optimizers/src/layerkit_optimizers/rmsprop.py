"""RMSprop: steps scaled by a running root mean square of the gradient.

With g the gradient, to which weight_decay * theta is added, and s and the velocity v zero at first:

    s <- alpha s + (1 - alpha) g^2        v <- momentum v + g / (sqrt(s) + eps)        theta <- theta - lr v

(Tieleman and Hinton 2012, lecture 6.5 of "Neural networks for machine learning"; without momentum v is the last term.)
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
from layerkit import Optimizer, OptimizerSpec, Parameters
from pydantic import Field
from torch import Tensor

from layerkit_optimizers.fields import Decay, Epsilon, LearningRate, WeightDecay, named


class RMSpropSpec(OptimizerSpec):
    """RMSprop: theta <- theta - lr gradient / (sqrt(s) + eps), with s the running mean of the gradient's square."""

    example: ClassVar[dict[str, Any]] = {"lr": 0.001}

    type: Literal["rmsprop"] = Field(description="The name of the optimizer.")
    lr: LearningRate = Field(default=0.01, description="The learning rate.")
    alpha: Decay = Field(default=0.99, description="The decay of the mean square in each step.")
    eps: Epsilon = Field(default=1e-8, description="Added to the root, so that it is never zero.")
    momentum: Decay = Field(default=0.0, description="The decay of the velocity in each step.")
    weight_decay: WeightDecay = Field(default=0.0, description="This times the parameter is added to its gradient.")

    def build(self, parameters: list[tuple[Tensor, Tensor]]) -> RMSprop:
        return RMSprop(parameters, **self._arguments())

    def reference(self) -> tuple[str, dict[str, Any]]:
        return "RMSprop", self._arguments()

    def _arguments(self) -> dict[str, Any]:
        return self.model_dump(exclude={"type"})


class RMSprop(Optimizer):
    """``RMSprop(net.param(), lr=0.01)``."""

    def __init__(
        self,
        parameters: Parameters,
        lr: float = 0.01,
        alpha: float = 0.99,
        eps: float = 1e-8,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(parameters, lr)
        self.alpha, self.eps, self.momentum, self.weight_decay = alpha, eps, momentum, weight_decay
        self._squares = [torch.zeros_like(parameter) for parameter in self.parameters]
        self._velocities = [torch.zeros_like(parameter) for parameter in self.parameters] if momentum else []

    def step(self) -> None:
        """Update every parameter in place."""
        if not self.parameters:
            return
        gradients = self.gradients
        if self.weight_decay:
            gradients = list(torch._foreach_add(gradients, self.parameters, alpha=self.weight_decay))
        torch._foreach_mul_(self._squares, self.alpha)
        torch._foreach_addcmul_(self._squares, gradients, gradients, value=1 - self.alpha)
        roots = torch._foreach_sqrt(self._squares)
        torch._foreach_add_(roots, self.eps)
        if self.momentum:
            torch._foreach_mul_(self._velocities, self.momentum)
            torch._foreach_addcdiv_(self._velocities, gradients, roots)
            torch._foreach_add_(self.parameters, self._velocities, alpha=-self.lr)
        else:
            torch._foreach_addcdiv_(self.parameters, gradients, roots, value=-self.lr)

    def state_dict(self) -> dict[str, Tensor]:
        """Return the running mean squares, and the velocities where there is momentum."""
        return named("square", self._squares) | named("velocity", self._velocities)
