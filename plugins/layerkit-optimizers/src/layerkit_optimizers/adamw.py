"""AdamW: Adam with the weight decay apart from the moments.

Before each step of Adam, whose formula stands in :mod:`layerkit_optimizers.adam`,

    theta <- theta - lr weight_decay theta,

so that the decay is not scaled by the gradient's size (Loshchilov and Hutter 2019, "Decoupled weight decay
regularization", algorithm 2).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import torch
from layerkit import OptimizerSpec
from pydantic import Field
from torch import Tensor

from layerkit_optimizers.adam import Adam
from layerkit_optimizers.fields import Decay, Epsilon, LearningRate, WeightDecay


class AdamWSpec(OptimizerSpec):
    """AdamW: theta <- (1 - lr weight_decay) theta, then a step of Adam."""

    example: ClassVar[dict[str, Any]] = {"lr": 0.001, "weight_decay": 0.01}

    type: Literal["adamw"] = Field(description="The name of the optimizer.")
    lr: LearningRate = Field(default=0.001, description="The learning rate.")
    beta1: Decay = Field(default=0.9, description="What is left of the mean of the gradient after one step.")
    beta2: Decay = Field(default=0.999, description="What is left of the mean of its square after one step.")
    eps: Epsilon = Field(default=1e-8, description="Added to the root, so that it is never zero.")
    weight_decay: WeightDecay = Field(
        default=0.01, description="lr times this is the part of a parameter lost in a step."
    )

    def build(self, parameters: list[tuple[Tensor, Tensor]]) -> AdamW:
        return AdamW(parameters, **self._arguments())

    def reference(self) -> tuple[str, dict[str, Any]]:
        return "AdamW", self._arguments()

    def _arguments(self) -> dict[str, Any]:
        return self.model_dump(exclude={"type", "beta1", "beta2"}) | {"betas": (self.beta1, self.beta2)}


class AdamW(Adam):
    """``AdamW(net.param(), lr=0.001, weight_decay=0.01)``, with the arguments of its torch namesake."""

    def __init__(
        self,
        parameters: Sequence[tuple[Tensor, Tensor]],
        lr: float = 0.001,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
    ) -> None:
        super().__init__(parameters, lr, betas, eps, weight_decay)

    def decayed_gradients(self) -> list[Tensor]:
        """Let the parameters decay, in place, and return the gradients as they are."""
        if self.weight_decay:
            torch._foreach_mul_(self.parameters, 1 - self.lr * self.weight_decay)
        return self.gradients
