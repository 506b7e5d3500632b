"""The training loop: epochs of mini-batches, with validation after each epoch."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import islice

import torch
from torch import Tensor

from layerkit.data.dataset import TrainingPairs, Validation
from layerkit.data.pairs import Pair, batches
from layerkit.denoising.denoiser import Denoiser
from layerkit.denoising.evaluation import Evaluation, evaluate
from layerkit.errors import DivergedError, ProcessError, out_of_memory
from layerkit.training.ahead import Batch, losses_of
from layerkit.training.inspection import Inspector
from layerkit.training.trainer import Trainer


@dataclass(frozen=True)
class StepDone:
    """One step: its position, its loss, how many pictures it saw, and the seconds that its epoch has taken so far.

    On a GPU steps are taken several at a time, so that some are over when another is reported; ``settled`` is whether
    the network is as this one has left it.
    """

    epoch: int
    batch: int
    loss: float
    pictures: int
    seconds: float
    settled: bool = True


@dataclass(frozen=True)
class EpochDone:
    """One epoch: its number from 1, its validation, and the seconds that training and validation took."""

    epoch: int
    evaluation: Evaluation | None
    train_seconds: float
    validation_seconds: float


def fit(
    trainer: Trainer,
    pairs: TrainingPairs,
    validation: Validation | None,
    denoiser: Denoiser,
    *,
    epochs: int,
    batch_size: int,
    epoch: int = 0,
    batch: int = 0,
    seconds: float = 0.0,
    inspector: Inspector | None = None,
) -> Iterator[StepDone | EpochDone]:
    """Train, and yield each step and epoch when it is done; training goes on when the next event is asked for.

    Args:
        trainer: takes the steps.
        pairs: the training pairs of each epoch.
        validation: pictures that are denoised and measured after each epoch; None for no such measurement.
        denoiser: the denoiser of the trainer's network, for validation.
        epochs: the number of epochs at which to stop; the trainer's progress is the share of all their steps.
        batch_size: pairs in one step.
        epoch, batch: the position at which to begin; both from 0.
        seconds: the time that the earlier steps of ``epoch`` took; it is counted as part of the epoch.
        inspector: the inspector of the trainer's network; it names the faulty layer when a step fails.
    """
    like = next((parameter for parameter, _ in trainer.network.param()), torch.empty(0))
    steps = -(-len(pairs) // batch_size)
    for number in range(epoch, epochs):
        first, spent = (batch, seconds) if number == epoch else (0, 0.0)
        start = time.perf_counter() - spent
        index = first
        # Closed here, so that the threads that make the pairs end with the training, also where a step fails.
        with closing(batches(pairs, number, batch_size, first, like, trainer.division.makers)) as drawn:
            for group in _groups(drawn, trainer.steps_ahead):
                taken = [
                    Batch(noisy, target, (number * steps + place) / (epochs * steps))
                    for place, (noisy, target) in enumerate(group, index)
                ]
                if inspector is not None:
                    for noisy, target, _ in taken:
                        inspector.before_step(noisy, target)
                losses, end = losses_of(trainer, taken), index + len(taken)
                for noisy, target, _ in taken:
                    loss = _next_loss(losses, noisy, target, inspector, f"step {index + 1} of epoch {number + 1}")
                    index += 1
                    seconds = time.perf_counter() - start
                    yield StepDone(number, index - 1, loss, len(noisy), seconds, settled=index == end)
        trained = time.perf_counter()
        evaluation = None if validation is None else evaluate(denoiser, *validation)
        yield EpochDone(number + 1, evaluation, trained - start, time.perf_counter() - trained)


def _next_loss(losses: Iterator[float], noisy: Tensor, target: Tensor, inspector: Inspector | None, step: str) -> float:
    """Return the loss of a step; an error says which step it was, and the inspector looks for the layer at fault."""
    try:
        return next(losses)
    except ProcessError:
        raise  # another process is at fault
    except Exception as error:
        if inspector is not None and not out_of_memory(error):
            inspector.inspect(noisy, target)
        if isinstance(error, DivergedError):
            raise DivergedError(f"in {step} {error}") from None
        raise


def _groups(given: Iterable[Pair], size: int) -> Iterator[list[Pair]]:
    """Yield the mini-batches in order, so many at a time."""
    coming = iter(given)
    while group := list(islice(coming, size)):
        yield group
