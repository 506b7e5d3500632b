"""Steps whose losses are looked at together, so that a GPU need not wait for the processor after each.

A loss that is not finite is found when the losses are looked at, after at most as many steps as
:class:`~layerkit.arithmetic.division.Division` says. Then network and optimizer are put back to where they were before
the first of these steps, and the steps are taken again, each looked at. So the one at fault leaves the network as it
was before.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from layerkit.training.trainer import Trainer


class Batch(NamedTuple):
    """A mini-batch, its targets, and how far the training is at its step, from 0 to 1."""

    noisy: Tensor
    target: Tensor
    progress: float


def losses_of(trainer: Trainer, batches: Sequence[Batch]) -> Iterator[float]:
    """Take a step on each mini-batch, and yield its loss.

    All steps have been taken when the first loss is yielded, unless there is only one mini-batch, or one of the losses
    is not finite.

    Raises:
        Exception: what :meth:`layerkit.training.trainer.Trainer.step` raises, in the place of a loss; network and
            optimizer are then as they were before that step.
    """
    if len(batches) > 1:
        before = _State(trainer)
        losses = _all_losses(trainer, batches)
        if losses is not None:
            yield from losses
            return
        before.restore()
    for batch in batches:
        trainer.progress = batch.progress
        yield trainer.step(batch.noisy, batch.target)


def _all_losses(trainer: Trainer, batches: Sequence[Batch]) -> list[float] | None:
    """Return the losses of a step on each mini-batch; None if one of them failed or is not finite."""
    losses = []
    try:
        for batch in batches:
            trainer.progress = batch.progress
            losses.append(trainer.step_unseen(batch.noisy, batch.target))
        numbers: list[float] = torch.stack(losses).tolist()
    except Exception:  # the same step fails again, and that error is the one to be seen
        return None
    return numbers if all(map(math.isfinite, numbers)) else None


class _State:
    """All that steps of a trainer change, as it was when this was made."""

    def __init__(self, trainer: Trainer) -> None:
        self._trainer = trainer
        self._network = {name: tensor.clone() for name, tensor in trainer.network.state_dict().items()}
        self._optimizer = {name: tensor.clone() for name, tensor in trainer.optimizer.state_dict().items()}

    def restore(self) -> None:
        """Put it back."""
        self._trainer.network.load_state_dict(self._network)
        self._trainer.optimizer.load_state_dict(self._optimizer)
        for _, module in self._trainer.network.modules():
            module.forget()
