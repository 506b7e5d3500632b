"""One step of training.

Noise2Noise (Lehtinen et al. 2018) needs nothing special here: each target is another noisy picture, and the mean of all
of a picture's targets is the clean picture.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import reduce
from operator import add
from typing import TypeVar

import torch
from torch import Tensor

from layerkit.arithmetic.division import Division, division_on
from layerkit.contracts.built import held
from layerkit.contracts.loss import Loss
from layerkit.contracts.misfit import not_a_tensor
from layerkit.contracts.module import Module
from layerkit.contracts.optimizer import Optimizer
from layerkit.contracts.printing import described, short
from layerkit.contracts.schedule import Schedule
from layerkit.contracts.threads import Training
from layerkit.contracts.tree import summary
from layerkit.contracts.workspace import LENT, Workspace
from layerkit.errors import DivergedError, ShapeError
from layerkit.training.dry_run import dry_run
from layerkit.training.recording import Recorder

Number = TypeVar("Number", float, Tensor)


class Trainer:
    """Changes a network so that its loss gets smaller.

    A large mini-batch is processed in slices whose numbers stay in the processor's cache, or in a GPU's memory;
    gradients add up, so the step is the same apart from rounding. If a layer mixes the samples of a mini-batch, or the
    loss compares them, it is processed as a whole.

    A step that is too short for several threads is taken by one.

    Outputs of the layers and the loss must not be used after the step, because the next step overwrites their memory.
    A network is trained by one thread at a time; between the steps any number may evaluate it.

    Args:
        network: the network to train; its inputs are noisy pictures.
        loss: compares the network's outputs with the targets.
        optimizer: the optimizer of ``network.param()``.
        schedule: the schedule of the learning rate; None for a constant rate.

    Attributes:
        progress: how far the training is, from 0 to 1, for the schedule and the loss; the caller of ``step`` sets it.
        base_lr: the optimizer's learning rate at the beginning, which the schedule multiplies.
        recorder: computes the gradients of steps at whose losses nobody looks.

    Raises:
        ArgumentError: when an argument has another type, for example a class instead of an object.
    """

    @held
    def __init__(self, network: Module, loss: Loss, optimizer: Optimizer, schedule: Schedule | None = None) -> None:
        self.network, self.loss, self.optimizer = network, loss, optimizer
        self.schedule, self.base_lr, self.progress = schedule, optimizer.lr, 0.0
        modules = [module for _, module in network.modules()]
        # Once, and not at every step, because walking through the network takes as long as some of its layers.
        owners = [self, loss, *modules]
        self.workspace = Workspace(owners)
        self.recorder = Recorder(network, owners, self._gradients_of)
        if loss.anneals:
            self.recorder.remark = "the steps are not recorded, since the loss changes with the progress"
        learning = [module for module in modules if module.parameters()]
        self._training = Training([loss, network, *learning])
        self._mixes_batch = any(module.mixes_batch for module in modules)
        self._numbers_of_one: dict[torch.Size, int] = {}
        parameters = [parameter for parameter, _ in network.param()]
        self._first = parameters[0] if parameters else None
        self._learned = sum(parameter.numel() for parameter in parameters)

    def __repr__(self) -> str:
        parts = {"loss": self.loss, "optimizer": self.optimizer, "schedule": self.schedule}
        return described(
            "Trainer", {"network": summary(self.network), **{key: short(part) for key, part in parts.items()}}
        )

    def step(self, noisy: Tensor, target: Tensor) -> float:
        """Take one step of the optimizer on a mini-batch (N, C, H, W) and its targets, and return the loss before it.

        Raises:
            ShapeError, TensorError: when the network or the loss cannot take them, or the network's output has another
                shape than the targets; no weight is changed.
            DivergedError: when the loss is not finite; the network is left as it was before.
            StateError: when another thread is in the middle of a step of this network or with this loss.
        """
        _check(noisy, target)
        with self._at_work(), self.workspace:
            self.optimizer.zero_grad()
            return self._make_step(noisy, target)

    def step_unseen(self, noisy: Tensor, target: Tensor) -> Tensor:
        """Take a step as :meth:`step` does, and return its loss, without dimensions, on the device of the network.

        A GPU works on while the processor starts the next step, because nobody looks at the loss. Nor is it checked:
        after a loss that is not finite the weights are not finite either. :mod:`layerkit.training.ahead` puts that
        right.

        Raises:
            ShapeError, TensorError, StateError: as :meth:`step` does.
        """
        _check(noisy, target)
        with self._at_work():
            loss = self.recorder.gradients(noisy, target)
            self.optimizer.step()
        return loss

    @property
    def steps_ahead(self) -> int:
        """How many steps are taken before their losses are looked at."""
        return self.division.steps

    @property
    def division(self) -> Division:
        """How the work is divided on the device of the network."""
        return division_on(self.device)

    @property
    def device(self) -> torch.device:
        """The device of the network; the processor for one without parameters."""
        return torch.device("cpu") if self._first is None else self._first.device

    def _gradients_of(self, noisy: Tensor, target: Tensor) -> Tensor:
        """Set the gradients to those of a mini-batch, and return its loss, at which nobody has looked."""
        self.optimizer.zero_grad()
        return self._add_gradients(noisy, target, Tensor.clone)

    @contextmanager
    def _at_work(self) -> Iterator[None]:
        """Let the network learn inside ``with``."""
        with self._training, self._input_grad_spared(), torch.no_grad():
            if not self.network.training:
                self.network.train()
            self._apply_progress()
            yield

    def _make_step(self, noisy: Tensor, target: Tensor) -> float:
        """Return the loss of a mini-batch, and let the optimizer take a step by its gradients, zero before."""
        with self._threads_for(noisy):
            loss = self._add_gradients(noisy, target, checked)
            self.optimizer.step()
        return loss

    def _threads_for(self, x: Tensor) -> AbstractContextManager[None]:
        """Limit the number of threads inside ``with`` to what the work is worth."""
        now, worth = torch.get_num_threads(), self.division.thread_numbers
        if now == 1 or not worth or self._mixes_batch or not len(x):
            return nullcontext()
        return threads(max(1, min(now, len(x) * self._numbers(x) // worth)))

    @contextmanager
    def _input_grad_spared(self) -> Iterator[None]:
        """Switch off, inside ``with``, the gradient with respect to the network's input, which no step needs."""
        needed, self.network.needs_input_grad = self.network.needs_input_grad, False
        try:
            yield
        finally:
            self.network.needs_input_grad = needed

    def _apply_progress(self) -> None:
        """Pass the progress on to the loss, and set the learning rate of this step."""
        self.loss.progress = self.progress
        if self.schedule is not None:
            self.optimizer.lr = self.base_lr * self.schedule(self.progress)

    def _add_gradients(self, noisy: Tensor, target: Tensor, seen: Callable[[Tensor], Number]) -> Number:
        """Add the gradients of a mini-batch, slice by slice, and return its mean loss.

        Args:
            seen: is given the loss of each slice before its gradients are added, and returns it as it is summed up.
        """
        losses: list[Number] = []
        for part in slices(len(noisy), self._slice_size(noisy)):
            given = noisy[part]
            loss = seen(self._loss_of(given, target[part]))
            self._add_backward(len(given), len(noisy))
            losses.append(loss if len(given) == len(noisy) else loss * (len(given) / len(noisy)))
        return reduce(add, losses)

    def _loss_of(self, noisy: Tensor, target: Tensor) -> Tensor:
        """Return the mean loss of a slice of the mini-batch."""
        # Copied to the same memory every time, because the layers' plans can be used again only for inputs there.
        lent = LENT.get() or self.workspace
        noisy = lent.empty(self, "noisy", noisy.shape, noisy).copy_(noisy)
        prediction = self.network.forward(noisy)
        if prediction.shape != target.shape:
            raise ShapeError(
                f"for noisy pictures {tuple(noisy.shape)} the network's output is {tuple(prediction.shape)}, and it is "
                f"compared with targets {tuple(target.shape)}; give targets of that shape, or change the last layers"
            )
        return self.loss.forward(prediction, target)

    def _add_backward(self, count: int, batch_size: int) -> None:
        """Add the gradients of the part whose loss was asked for last: ``count`` samples of ``batch_size``."""
        grad = self.loss.backward()
        self.network.backward(grad if count == batch_size else grad.mul_(count / batch_size))

    def _slice_size(self, x: Tensor) -> int:
        """Return how many samples of the mini-batch are processed at once."""
        whole = max(1, len(x))
        if self._mixes_batch or self.loss.compares_samples or whole == 1:
            return whole
        division = self.division
        at_once = max(division.slice_numbers, division.parameter_numbers * self._learned)
        # Powers of two divide the usual batches, so that all slices have one size, and suit the products best.
        size: int = 2 ** int(math.log2(max(1, at_once // self._numbers(x))))
        return min(size, whole)

    def _numbers(self, x: Tensor) -> int:
        """Return how many numbers the outputs of all layers hold for one sample."""
        shape = x.shape[1:]
        if shape not in self._numbers_of_one:
            with dry_run(self.network):
                self.network.forward(x[:1])
                numbers = sum(module.numbers_out() for _, module in self.network.modules() if not module.children())
            self._numbers_of_one[shape] = max(1, numbers)
        return self._numbers_of_one[shape]


@contextmanager
def threads(number: int) -> Iterator[None]:
    """Let so many threads of torch work inside ``with``."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def check_finite(loss: float) -> None:
    """Refuse a loss that is not finite.

    Raises:
        DivergedError: when it is not.
    """
    if not math.isfinite(loss):
        raise DivergedError(f"the loss is {loss}; try a smaller learning rate")


def checked(loss: Tensor) -> float:
    """Return a loss as a number, for which a GPU is waited for.

    Raises:
        DivergedError: when it is not finite.
    """
    number = float(loss)
    check_finite(number)
    return number


def slices(count: int, size: int) -> list[slice]:
    """Return the slices of a batch, at most ``size`` samples each; an empty batch is one slice."""
    return [slice(start, min(start + size, count)) for start in range(0, count or 1, size)]


def _check(noisy: Tensor, target: Tensor) -> None:
    """Refuse batches of different lengths, of which some samples would be left out silently.

    Raises:
        ShapeError: when they do not have the same number of samples.
        TensorError: when one of them is not a tensor.
    """
    for given in (noisy, target):
        if not isinstance(given, Tensor):
            raise not_a_tensor("Trainer.step", given)
    if noisy.shape[:1] != target.shape[:1] or not noisy.dim():
        raise ShapeError(
            f"Trainer.step: expected a batch (N, ...) and as many targets, not {tuple(noisy.shape)} and "
            f"{tuple(target.shape)}"
        )
