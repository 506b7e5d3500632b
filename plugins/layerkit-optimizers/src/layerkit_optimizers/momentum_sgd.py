"""Gradient descent with momentum.

With g the gradient, to which weight_decay * theta is added, and a velocity v that is zero at first:

    v <- momentum v + g        theta <- theta - lr v,   or Nesterov's   theta <- theta - lr (g + momentum v)

(Sutskever et al. 2013, "On the importance of initialization and momentum in deep learning", equations 1 to 4, in the
form of torch, where lr is not part of v, so that a change of lr has its effect at once.)
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
from layerkit import Optimizer, OptimizerSpec, Parameters
from pydantic import Field
from torch import Tensor

from layerkit_optimizers.fields import LearningRate, WeightDecay, named


class MomentumSGDSpec(OptimizerSpec):
    """Gradient descent with momentum: v <- momentum v + gradient, theta <- theta - lr v."""

    example: ClassVar[dict[str, Any]] = {"lr": 0.1, "momentum": 0.9}

    type: Literal["momentum_sgd"] = Field(description="The name of the optimizer.")
    lr: LearningRate = Field(description="The learning rate.")
    momentum: float = Field(default=0.9, gt=0, lt=1, description="The decay of the velocity in each step.")
    nesterov: bool = Field(default=False, description="Whether a step looks ahead along the velocity (Nesterov).")
    weight_decay: WeightDecay = Field(default=0.0, description="This times the parameter is added to its gradient.")

    def build(self, parameters: list[tuple[Tensor, Tensor]]) -> MomentumSGD:
        return MomentumSGD(parameters, **self._arguments())

    def reference(self) -> tuple[str, dict[str, Any]]:
        return "SGD", self._arguments()

    def _arguments(self) -> dict[str, Any]:
        return self.model_dump(exclude={"type"})


class MomentumSGD(Optimizer):
    """``MomentumSGD(net.param(), lr=0.1, momentum=0.9)``."""

    def __init__(
        self,
        parameters: Parameters,
        lr: float,
        momentum: float = 0.9,
        nesterov: bool = False,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(parameters, lr)
        self.momentum, self.nesterov, self.weight_decay = momentum, nesterov, weight_decay
        self._velocities = [torch.zeros_like(parameter) for parameter in self.parameters]

    def step(self) -> None:
        """Update every parameter in place."""
        if not self.parameters:
            return
        gradients = self.gradients
        if self.weight_decay:
            gradients = list(torch._foreach_add(gradients, self.parameters, alpha=self.weight_decay))
        torch._foreach_mul_(self._velocities, self.momentum)
        torch._foreach_add_(self._velocities, gradients)
        if self.nesterov:
            torch._foreach_add_(self.parameters, gradients, alpha=-self.lr)
            torch._foreach_add_(self.parameters, self._velocities, alpha=-self.lr * self.momentum)
        else:
            torch._foreach_add_(self.parameters, self._velocities, alpha=-self.lr)

    def state_dict(self) -> dict[str, Tensor]:
        """Return the velocities."""
        return named("velocity", self._velocities)
