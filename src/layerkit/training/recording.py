"""Repeats the gradients of a step without Python, where a device can record its operations.

A short step on a GPU is nothing but the start of its operations, one after the other by the processor. CUDA records
them once, as a *graph*, and starts them all at once from then on. The recorded operations are the same on the same
memory, so the result has the same bits. Memory and plans of a recording are its own, in a workspace that nobody else
writes into. Before a recording is relied on, it is held twice against the step without it.

What follows, the optimizer's step, depends on numbers that change (the learning rate, the count of steps) and is a few
operations for all parameters together, so it is not recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Tensor

from layerkit.contracts.module import Module
from layerkit.contracts.workspace import Workspace
from layerkit.training.dry_run import dry_run

SHAPES = 4
"""The most shapes of mini-batches that are recorded, since each has memory of its own."""
TRIALS = 2
"""How often a recording is held against the step without it. Numbers that Python would draw anew for each step are the
same by chance only the first time."""

Operations = Callable[[Tensor, Tensor], Tensor]
"""Sets the gradients to those of a mini-batch and its targets, and returns the loss."""


class Tape(Protocol):
    """Records the operations on a device."""

    def record(self, operations: Callable[[], None]) -> None:
        """Record the operations that a function starts, carried out or not.

        Raises:
            Exception: of any kind, when there is one that cannot be recorded.
        """

    def replay(self) -> None:
        """Carry them out, once more, on the same memory."""


class CudaTape:
    """A graph of CUDA.

    Args:
        generators: draw the random numbers of the operations; each replay draws the next ones.
    """

    def __init__(self, generators: Sequence[torch.Generator]) -> None:
        self._graph = torch.cuda.CUDAGraph()
        for generator in generators:
            self._graph.register_generator_state(generator)

    def record(self, operations: Callable[[], None]) -> None:
        """Record the operations, which are not carried out."""
        # Another thread makes the next mini-batches meanwhile, and may ask for memory.
        with torch.cuda.graph(self._graph, capture_error_mode="thread_local"):
            operations()

    def replay(self) -> None:
        """Carry them out."""
        self._graph.replay()


def tape_on(device: torch.device) -> Callable[[Sequence[torch.Generator]], Tape] | None:
    """Return what records on a device; None where nothing does."""
    return CudaTape if device.type == "cuda" else None


class Recorder:
    """Computes the gradients of mini-batches, by a recording where the shape has come before.

    Args:
        network: whose gradients they are.
        owners: the modules and the loss, to which workspaces are lent.
        operations: sets the gradients.

    Attributes:
        remark: why nothing is recorded, as a sentence; empty where nothing speaks against it.
    """

    def __init__(self, network: Module, owners: Sequence[object], operations: Operations) -> None:
        self.remark = ""
        self._network, self._owners, self._operations = network, owners, operations
        self._first = next((parameter for parameter, _ in network.param()), torch.empty(0))
        self._workspace = Workspace(owners)
        self._recordings: dict[tuple[object, ...], _Recording] = {}

    def gradients(self, noisy: Tensor, target: Tensor) -> Tensor:
        """Set the gradients to those of a mini-batch and its targets, and return the loss."""
        make = tape_on(noisy.device)
        if make is not None and not self.remark:
            # The parameters lie elsewhere after the network was moved.
            key = noisy.shape, target.shape, noisy.dtype, target.dtype, noisy.device, self._first.data_ptr()
            recording = self._recordings.get(key)
            if recording is None and len(self._recordings) < SHAPES:
                recording = self._recordings[key] = _Recording(noisy, target, Workspace(self._owners))
            if recording is not None:
                return self._by(recording, make, noisy, target)
        with self._workspace:
            return self._operations(noisy, target)

    def _by(
        self,
        recording: _Recording,
        make: Callable[[Sequence[torch.Generator]], Tape],
        noisy: Tensor,
        target: Tensor,
    ) -> Tensor:
        """Return the loss of a mini-batch of the recording's shape, with its gradients set."""
        recording.noisy.copy_(noisy)
        recording.target.copy_(target)
        recording.times += 1
        if recording.times == 1:  # so that all memory is there, and all code is loaded, before it is recorded
            return recording.carry_out(self._operations)
        if recording.times > 1 + TRIALS:
            return recording.replay()
        with dry_run(self._network):
            expected = [recording.carry_out(self._operations), *self._results()]
        try:
            if recording.tape is None:
                with dry_run(self._network):
                    recording.record(make(self._generators()), self._operations)
        except Exception as error:
            self._drop(_first_line(error))
            return self._again(noisy, target)
        kept = {name: tensor.clone() for name, tensor in self._network.state_dict().items()}
        found = [recording.replay(), *self._results()]
        if all(map(_same_bits, found, expected)):
            return found[0]
        self._network.load_state_dict(kept)
        self._drop("what was recorded gives another result than the step itself")
        return self._again(noisy, target)

    def _results(self) -> list[Tensor]:
        """Return copies of all that a step without the optimizer changes."""
        gradients = [gradient for _, gradient in self._network.param()]
        return [tensor.clone() for tensor in (*gradients, *self._network.state_dict().values())]

    def _generators(self) -> list[torch.Generator]:
        values = (value for _, module in self._network.modules() for value in vars(module).values())
        return [value for value in values if isinstance(value, torch.Generator)]

    def _drop(self, why: str) -> None:
        self.remark = f"the steps of this network are not recorded, so short ones take longer: {why}"
        self._recordings.clear()

    def _again(self, noisy: Tensor, target: Tensor) -> Tensor:
        for _, module in self._network.modules():
            module.forget()
        with self._workspace:
            return self._operations(noisy, target)


class _Recording:
    """The operations for mini-batches of one shape, and the memory on which they work."""

    def __init__(self, noisy: Tensor, target: Tensor, workspace: Workspace) -> None:
        self.noisy, self.target = torch.empty_like(noisy), torch.empty_like(target)
        self.times = 0
        self.tape: Tape | None = None
        self._workspace, self._loss = workspace, torch.empty(0)

    def carry_out(self, operations: Operations) -> Tensor:
        """Return the loss of the mini-batch that lies here, with its gradients set."""
        with self._workspace:
            return operations(self.noisy, self.target)

    def record(self, tape: Tape, operations: Operations) -> None:
        """Record the operations."""

        def once() -> None:
            self._loss = self.carry_out(operations)

        tape.record(once)
        self.tape = tape

    def replay(self) -> Tensor:
        """Carry out what was recorded; return the loss."""
        assert self.tape is not None
        self.tape.replay()
        return self._loss.clone()


def _first_line(error: BaseException) -> str:
    """Return what went wrong first, where the end of a recording that failed is an error too."""
    while error.__context__ is not None:
        error = error.__context__
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


_BITS = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


def _same_bits(a: Tensor, b: Tensor) -> bool:
    a, b = (tensor.contiguous().view(_BITS[tensor.element_size()]) for tensor in (a, b))
    return torch.equal(a, b)
