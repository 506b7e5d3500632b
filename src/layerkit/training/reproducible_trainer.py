"""One step of training with the same bits on any number of processes.

A sum of floating-point numbers depends on the order of its terms, which depends on which process has which samples.
Here the gradients of slices of the mini-batch, whose size depends only on the mini-batch, are kept apart, gathered, and
summed in the order of the slices; and each slice is computed by one thread.
"""

from __future__ import annotations

from torch import Tensor

from layerkit.contracts.loss import Loss
from layerkit.contracts.module import Module
from layerkit.contracts.optimizer import Optimizer
from layerkit.contracts.schedule import Schedule
from layerkit.distributed.buckets import Buckets
from layerkit.distributed.group import Group, part_of
from layerkit.errors import UserError
from layerkit.training.shared_trainer import called, check_draws_nothing, count
from layerkit.training.trainer import Trainer, check_finite, slices, threads

SLICES = 8
"""The least number of slices of a mini-batch, and so the least number of processes that have work."""


class ReproducibleTrainer(Trainer):
    """A trainer whose steps have the same bits whatever the size of the group.

    Args:
        network, loss, optimizer, schedule: as :class:`~layerkit.training.trainer.Trainer` takes them; the same
            everywhere.
        group: that shares the steps.

    Raises:
        UserError: when a layer of the network depends on how a batch is cut.
    """

    def __init__(
        self, network: Module, loss: Loss, optimizer: Optimizer, schedule: Schedule | None, group: Group
    ) -> None:
        super().__init__(network, loss, optimizer, schedule)
        check_draws_nothing(network)
        for name, module in network.modules():
            if module.mixes_batch:
                raise UserError(
                    f"{called(name, module)} mixes the samples of a batch, which cannot be cut into the slices that "
                    "--reproducible sums; train without it, or without this layer"
                )
        self.group, self._flats = group, Buckets(network).flats

    steps_ahead = 1  # the processes tell one another their losses in every step

    def _make_step(self, noisy: Tensor, target: Tensor) -> float:
        whole = len(noisy)
        parts = slices(whole, min(self._slice_size(noisy), -(-whole // SLICES) or 1))
        shares = [part_of(len(parts), rank, self.group.size) for rank in range(self.group.size)]
        most = max(map(count, shares))
        rows = [flat.new_zeros((most, len(flat))) for flat in self._flats]
        losses = [0.0] * most
        with threads(1):
            for index, part in enumerate(parts[shares[self.group.rank]]):
                for flat in self._flats:
                    flat.zero_()
                losses[index] = float(self._loss_of(noisy[part], target[part])) * count(part) / max(whole, 1)
                self._add_backward(count(part), whole)
                for flat, row in zip(self._flats, rows, strict=True):
                    row[index] = flat
            received = self.group.begin_exchange(losses)
            for flat, row in zip(self._flats, rows, strict=True):
                flat.zero_()
                for share, gathered in zip(shares, self.group.gather(row), strict=True):
                    for gradient in gathered[: count(share)]:
                        flat.add_(gradient)
            loss = sum(received())
            check_finite(loss)
            self.optimizer.step()
        return loss
