"""Stochastic gradient descent, equation (11) of the report: theta <- theta - lr * gradient."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from layerkit.builtin.optimizers.fields import LearningRate
from layerkit.contracts.optimizer import Optimizer
from layerkit.contracts.specs import OptimizerSpec


class SGDSpec(OptimizerSpec):
    """Stochastic gradient descent: theta <- theta - lr * gradient."""

    example: ClassVar[dict[str, Any]] = {"lr": 1.0}

    type: Literal["sgd"] = Field(description="The name of the optimizer.")
    lr: LearningRate = Field(description="The learning rate.")

    def reference(self) -> tuple[str, dict[str, Any]]:
        return "SGD", {"lr": self.lr}

    def build(self, parameters: list[tuple[Tensor, Tensor]]) -> SGD:
        return SGD(parameters, lr=self.lr)


class SGD(Optimizer):
    """``SGD(net.param(), lr=1.0)``: theta <- theta - lr * gradient."""

    def step(self) -> None:
        """Update every parameter in place."""
        if self.parameters:
            torch._foreach_add_(self.parameters, self.gradients, alpha=-self.lr)
