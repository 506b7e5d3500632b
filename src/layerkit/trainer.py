"""One step of training.

Noise2Noise (Lehtinen et al. 2018) needs nothing special here: the target is another noisy picture, and the mean of
what the network is pulled to is the clean one.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from layerkit.errors import RunError
from layerkit.loss import Loss
from layerkit.module import Module
from layerkit.optimizer import Optimizer


class DivergedError(RunError):
    """The loss is not a finite number any more."""


class Trainer:
    """Changes a network so that its loss gets smaller.

    Args:
        network: takes the noisy pictures.
        loss: compares what comes out with the targets.
        optimizer: of ``network.param()``.
    """

    def __init__(self, network: Module, loss: Loss, optimizer: Optimizer) -> None:
        self.network, self.loss, self.optimizer = network, loss, optimizer

    def step(self, noisy: Tensor, target: Tensor) -> float:
        """Return the loss of a batch (N, C, H, W) against its targets, and take one step of the optimizer.

        Raises:
            DivergedError: when the loss is not finite; the network is left as it was before.
        """
        if not self.network.training:
            self.network.train()
        with torch.no_grad():
            self.optimizer.zero_grad()
            loss = self.loss.forward(self.network.forward(noisy), target).item()
            if not math.isfinite(loss):
                raise DivergedError(f"the loss is {loss}; try a smaller learning rate")
            # Nobody asks what the noisy pictures should have been.
            needed, self.network.needs_input_grad = self.network.needs_input_grad, False
            try:
                self.network.backward(self.loss.backward())
            finally:
                self.network.needs_input_grad = needed
            self.optimizer.step()
        return loss
