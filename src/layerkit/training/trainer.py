"""One step of training.

Noise2Noise (Lehtinen et al. 2018) needs nothing special here: the target is another noisy picture, and the mean of
what the network is pulled to is the clean one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from layerkit.contracts.differentiable import Differentiable
from layerkit.contracts.loss import Loss
from layerkit.contracts.module import Module
from layerkit.contracts.optimizer import Optimizer
from layerkit.contracts.schedule import Schedule
from layerkit.contracts.workspace import Workspace
from layerkit.errors import DivergedError
from layerkit.training.dry_run import dry_run

NUMBERS_AT_ONCE = 1_000_000
"""Outputs of all layers together, in numbers, that a slice of the batch may have; beyond that they leave the cache."""
NUMBERS_A_PARAMETER = 32
"""As many may be in a slice for each learned number, for every slice handles all of those anew."""


class Trainer:
    """Changes a network so that its loss gets smaller.

    A large batch is walked in slices whose numbers stay in the processor's cache: gradients add up, so the step is the
    same but for rounding. A network with a layer that mixes the samples of a batch is given the batch whole.

    Between two steps nothing that the layers or the loss returned in the first may be used: their memory is used again.

    Args:
        network: takes the noisy pictures.
        loss: compares what comes out with the targets.
        optimizer: of ``network.param()``.
        schedule: of the learning rate; None where it stays as it is.

    Attributes:
        progress: how far the training is, from 0 to 1, for the schedule and the loss; whoever calls ``step`` sets it.
        base_lr: the optimizer's learning rate at the beginning, of which the schedule takes its share.
    """

    def __init__(self, network: Module, loss: Loss, optimizer: Optimizer, schedule: Schedule | None = None) -> None:
        self.network, self.loss, self.optimizer = network, loss, optimizer
        self.schedule, self.base_lr, self.progress = schedule, optimizer.lr, 0.0
        self.workspace = Workspace()
        modules = [module for _, module in network.modules()]
        # Once, and not at every step: to walk through the network takes as long as some of its layers.
        self._borrowers: list[Differentiable] = [loss, *modules]
        self._mixes_batch = any(module.mixes_batch for module in modules)
        self._slice_sizes: dict[torch.Size, int] = {}

    def step(self, noisy: Tensor, target: Tensor) -> float:
        """Return the loss of a batch (N, C, H, W) against its targets, and take one step of the optimizer.

        Raises:
            DivergedError: when the loss is not finite; the network is left as it was before.
        """
        if not self.network.training:
            self.network.train()
        self._apply_progress()
        with torch.no_grad(), self._lent():
            self.optimizer.zero_grad()
            size, loss = self._slice_size(noisy), 0.0
            for start in range(0, len(noisy) or 1, size):  # an empty batch is one slice
                part = slice(start, start + size)
                loss += self._add_gradients(noisy[part], target[part], len(noisy))
            self.optimizer.step()
        return loss

    @contextmanager
    def _lent(self) -> Iterator[None]:
        """Lend the trainer's memory to network and loss, and spare the network the gradient that nobody asks for.

        It is the one with respect to the noisy pictures. Afterwards all is given back.
        """
        needed, self.network.needs_input_grad = self.network.needs_input_grad, False
        before = [borrower.workspace for borrower in self._borrowers]
        for borrower in self._borrowers:
            # Past __setattr__, which looks after parameters and takes its time.
            vars(borrower)["workspace"] = self.workspace
        try:
            with self.workspace:
                yield
        finally:
            self.network.needs_input_grad = needed
            for borrower, workspace in zip(self._borrowers, before, strict=True):
                vars(borrower)["workspace"] = workspace

    def _apply_progress(self) -> None:
        """Tell the loss how far the training is, and set the learning rate of this step."""
        self.loss.progress = self.progress
        if self.schedule is not None:
            self.optimizer.lr = self.base_lr * self.schedule(self.progress)

    def _add_gradients(self, noisy: Tensor, target: Tensor, batch_size: int) -> float:
        """Add the gradients of a part of the batch, and return what it adds to the batch's mean loss."""
        # Batches come from all over memory; from one place the layers need not settle anew what they do with them.
        noisy = self.workspace.empty(self, "noisy", noisy.shape, noisy).copy_(noisy)
        loss = self.loss.forward(self.network.forward(noisy), target).item()
        if not math.isfinite(loss):
            raise DivergedError(f"the loss is {loss}; try a smaller learning rate")
        grad = self.loss.backward()
        if len(noisy) == batch_size:
            self.network.backward(grad)
            return loss
        share = len(noisy) / batch_size
        self.network.backward(grad.mul_(share))
        return loss * share

    def _slice_size(self, x: Tensor) -> int:
        """Return how many samples of the batch to take at once."""
        whole = max(1, len(x))
        if self._mixes_batch or whole == 1:
            return whole
        shape = x.shape[1:]
        if shape not in self._slice_sizes:
            with dry_run(self.network):
                self.network.forward(x[:1])
                numbers = sum(module.numbers_out() for _, module in self.network.modules() if not module.children())
            learned = sum(parameter.numel() for parameter, _ in self.network.param())
            at_once = max(NUMBERS_AT_ONCE, NUMBERS_A_PARAMETER * learned)
            # Powers of two divide the usual batches, so that all slices have one size, and suit the products best.
            self._slice_sizes[shape] = 2 ** int(math.log2(max(1, at_once // max(1, numbers))))
        return min(self._slice_sizes[shape], whole)
