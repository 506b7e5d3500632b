"""One step of training that several processes take together.

The mini-batch is the same as on one process; each process has a part of it. Its loss is the mean over all samples, so
the gradient of the whole is the sum of the parts' gradients, each weighted with its share of the samples. When all
processes have the sum, each takes the same step with its own optimizer.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from layerkit.contracts.loss import Loss
from layerkit.contracts.module import Module
from layerkit.contracts.optimizer import Optimizer
from layerkit.contracts.schedule import Schedule
from layerkit.contracts.sharing import SHARED
from layerkit.distributed.buckets import Buckets
from layerkit.distributed.group import Group, part_of
from layerkit.errors import UserError
from layerkit.training.trainer import Trainer, check_finite, slices


class SharedTrainer(Trainer):
    """A trainer whose steps are those of all processes of a group; each is given the whole batch and takes its part.

    Where a part is walked in slices, gradients are summed over the group in the last one only.

    Args:
        network, loss, optimizer, schedule: as :class:`~layerkit.training.trainer.Trainer` takes them; the same
            everywhere.
        group: that shares the steps.

    Raises:
        UserError: when a layer of the network would compute something else on several processes.
    """

    def __init__(
        self, network: Module, loss: Loss, optimizer: Optimizer, schedule: Schedule | None, group: Group
    ) -> None:
        super().__init__(network, loss, optimizer, schedule)
        check_draws_nothing(network)
        for name, module in network.modules():
            if module.mixes_batch and not module.spans_processes:
                raise UserError(
                    f"{called(name, module)} mixes the samples of a batch, and does not say that it can do so where "
                    f"several processes share it; {_REMEDY}"
                )
        self.group, self.buckets = group, Buckets(network)

    steps_ahead = 1  # the processes tell one another their losses in every step

    def _make_step(self, noisy: Tensor, target: Tensor) -> float:
        part = part_of(len(noisy), self.group.rank, self.group.size)
        with _sharing(_Batch(len(noisy), self.group)):
            return self._share_step(noisy[part], target[part], len(noisy))

    def _share_step(self, noisy: Tensor, target: Tensor, whole: int) -> float:
        """Return the loss of a batch of ``whole`` samples, some of which are these, and take a step."""
        loss = 0.0
        *before, last = slices(len(noisy), self._slice_size(noisy))
        with self._threads_for(noisy):
            for part in before:
                loss += float(self._loss_of(noisy[part], target[part])) * count(part) / whole
                self._add_backward(count(part), whole)
            with self.buckets.summing(self.group):
                loss += float(self._loss_of(noisy[last], target[last])) * count(last) / max(whole, 1)
                losses = self.group.begin_exchange([loss])
                self._add_backward(count(last), whole)
            loss = sum(losses())
            check_finite(loss)
            self.optimizer.step()
        return loss


class _Batch:
    """A batch as layers see it that mix its samples; see :class:`layerkit.contracts.sharing.SharedBatch`."""

    def __init__(self, samples: int, group: Group) -> None:
        self.samples, self._group = samples, group

    def summed(self, tensor: Tensor) -> Tensor:
        """Return the sum of the processes' tensors."""
        total = tensor.clone(memory_format=torch.contiguous_format)
        self._group.begin_sum(total)()
        return total


@contextmanager
def _sharing(batch: _Batch) -> Iterator[None]:
    """Let layers see the batch inside ``with``."""
    token = SHARED.set(batch)
    try:
        yield
    finally:
        SHARED.reset(token)


def count(part: slice) -> int:
    """Return how many samples a part of a batch has."""
    return int(part.stop - part.start)


_REMEDY = "train in one process, or without this layer"


def called(name: str, module: Module) -> str:
    """Return what a layer is called in messages: its place in the network, and its type."""
    return f"layer {name} ({module.declared_by.name() if module.declared_by else type(module).__name__})"


def check_draws_nothing(network: Module) -> None:
    """Refuse layers that draw numbers: for a sample in the middle of a batch they depend on who has those before it.

    Raises:
        UserError: when there is one.
    """
    for name, module in network.modules():
        generators = any(isinstance(value, torch.Generator) for value in vars(module).values())
        if generators or (module.declared_by is not None and module.declared_by.stochastic):
            raise UserError(
                f"{called(name, module)} draws random numbers, which would be others for most samples where several "
                f"processes share a batch; {_REMEDY}"
            )
