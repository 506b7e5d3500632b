"""Adam: steps scaled by running moments of the gradient.

With g the gradient, to which weight_decay * theta is added, t the count of steps, and m and v zero at first:

    m <- beta1 m + (1 - beta1) g        v <- beta2 v + (1 - beta2) g^2
    theta <- theta - lr (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + eps)

(Kingma and Ba 2015, "Adam: a method for stochastic optimization", algorithm 1.) The code computes the step as
lr c / (1 - beta1^t) times m / (sqrt(v) + c eps) with c = sqrt(1 - beta2^t), which needs one pass over memory less.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from layerkit.builtin.optimizers.fields import Decay, Epsilon, LearningRate, WeightDecay
from layerkit.contracts.optimizer import Optimizer, Parameters
from layerkit.contracts.specs import OptimizerSpec


class MomentsSpec(OptimizerSpec):
    """The fields of the optimizers that keep running moments of the gradient."""

    lr: LearningRate = Field(default=0.001, description="The learning rate.")
    beta1: Decay = Field(default=0.9, description="The decay of the running mean of the gradient in each step.")
    beta2: Decay = Field(default=0.999, description="The decay of the running mean of its square in each step.")
    eps: Epsilon = Field(default=1e-8, description="Added to the root, so that it is never zero.")
    weight_decay: WeightDecay

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of the optimizer, which are those of its torch namesake."""
        return self.model_dump(exclude={"type", "beta1", "beta2"}) | {"betas": (self.beta1, self.beta2)}


class AdamSpec(MomentsSpec):
    """Adam: theta <- theta - lr m / (sqrt(v) + eps), with m and v the running means of the gradient and its square."""

    example: ClassVar[dict[str, Any]] = {"lr": 0.001}

    type: Literal["adam"] = Field(description="The name of the optimizer.")
    weight_decay: WeightDecay = Field(default=0.0, description="This times the parameter is added to its gradient.")

    def build(self, parameters: list[tuple[Tensor, Tensor]]) -> Adam:
        return Adam(parameters, **self.arguments())

    def reference(self) -> tuple[str, dict[str, Any]]:
        return "Adam", self.arguments()


class Adam(Optimizer):
    """``Adam(net.param(), lr=0.001)``, with the arguments of its torch namesake.

    Args:
        parameters: the (parameter, gradient) pairs.
        lr: the learning rate.
        betas: the decay, in each step, of the running means of the gradient and of its square.
        eps: added to the root, so that it is never zero.
        weight_decay: this times the parameter is added to its gradient.
    """

    def __init__(
        self,
        parameters: Parameters,
        lr: float = 0.001,
        betas: tuple[Decay, Decay] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(parameters, lr)
        self.betas, self.eps, self.weight_decay = betas, eps, weight_decay
        self._count = torch.zeros((), dtype=torch.int64)
        self._means = [torch.zeros_like(parameter) for parameter in self.parameters]
        self._squares = [torch.zeros_like(parameter) for parameter in self.parameters]

    def step(self) -> None:
        """Update every parameter in place."""
        if not self.parameters:
            return
        self._count += 1
        count, (beta1, beta2) = int(self._count), self.betas
        gradients = self.decayed_gradients()
        torch._foreach_lerp_(self._means, gradients, 1 - beta1)
        torch._foreach_mul_(self._squares, beta2)
        torch._foreach_addcmul_(self._squares, gradients, gradients, value=1 - beta2)
        correction = math.sqrt(1 - beta2**count)
        roots = torch._foreach_sqrt(self._squares)
        torch._foreach_add_(roots, self.eps * correction)
        step_size = self.lr * correction / (1 - beta1**count)
        torch._foreach_addcdiv_(self.parameters, self._means, roots, value=-step_size)

    def decayed_gradients(self) -> list[Tensor]:
        """Return the gradients plus the weight decay, in new tensors."""
        if not self.weight_decay:
            return self.gradients
        return list(torch._foreach_add(self.gradients, self.parameters, alpha=self.weight_decay))

    def state_dict(self) -> dict[str, Tensor]:
        """Return the number of steps and the running means."""
        means = {f"mean.{index}": tensor for index, tensor in enumerate(self._means)}
        squares = {f"square.{index}": tensor for index, tensor in enumerate(self._squares)}
        return {"count": self._count} | means | squares
