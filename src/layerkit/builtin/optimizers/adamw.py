"""AdamW: Adam with a weight decay that does not enter the moments.

Before each step of Adam, whose formula is in :mod:`layerkit.builtin.optimizers.adam`,

    theta <- theta - lr weight_decay theta,

so that the decay is not scaled by the gradient's size (Loshchilov and Hutter 2019, "Decoupled weight decay
regularization", algorithm 2).
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from layerkit.builtin.optimizers.adam import Adam, MomentsSpec
from layerkit.builtin.optimizers.fields import Decay, WeightDecay
from layerkit.contracts.optimizer import Parameters


class AdamWSpec(MomentsSpec):
    """AdamW: theta <- (1 - lr weight_decay) theta, then a step of Adam."""

    example: ClassVar[dict[str, Any]] = {"lr": 0.001, "weight_decay": 0.01}

    type: Literal["adamw"] = Field(description="The name of the optimizer.")
    weight_decay: WeightDecay = Field(
        default=0.01, description="lr times this is the share of a parameter that is subtracted in each step."
    )

    def build(self, parameters: list[tuple[Tensor, Tensor]]) -> AdamW:
        return AdamW(parameters, **self.arguments())

    def reference(self) -> tuple[str, dict[str, Any]]:
        return "AdamW", self.arguments()


class AdamW(Adam):
    """``AdamW(net.param(), lr=0.001, weight_decay=0.01)``, with the arguments of its torch namesake.

    Args:
        parameters, lr, betas, eps: as for :class:`Adam`.
        weight_decay: lr times this is the share of a parameter that is subtracted in each step.
    """

    def __init__(
        self,
        parameters: Parameters,
        lr: float = 0.001,
        betas: tuple[Decay, Decay] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
    ) -> None:
        super().__init__(parameters, lr, betas, eps, weight_decay)

    def decayed_gradients(self) -> list[Tensor]:
        """Let the parameters decay, in place, and return the gradients as they are."""
        if self.weight_decay:
            torch._foreach_mul_(self.parameters, 1 - self.lr * self.weight_decay)
        return self.gradients
