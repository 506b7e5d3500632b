"""Processes that work together over ``torch.distributed``.

Each has a *rank*, from 0 on. All of them call the same operations in the same order.
Tensors are summed by ``SUM`` alone, since gloo takes ``AVG`` without an error and gives another number.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Protocol

import torch
from torch import Tensor

from layerkit.distributed.board import Board, Store
from layerkit.distributed.roll_call import RollCall
from layerkit.errors import DataError, LayerkitError, ProcessError, StoppedError, UserError, out_of_memory

Wait = Callable[[], object]
"""Waits for the end of an operation that has been begun."""


class Group(Protocol):
    """Processes that work together.

    Attributes:
        rank: the number of this process, from 0.
        size: how many there are.
    """

    rank: int
    size: int

    def begin_sum(self, tensor: Tensor) -> Wait:
        """Begin to replace the tensor by the sum of all processes' tensors; the same bits in each."""

    def gather(self, tensor: Tensor) -> list[Tensor]:
        """Return the tensors of all processes in the order of the ranks; all have one shape."""

    def begin_exchange(self, numbers: Sequence[float]) -> Callable[[], list[float]]:
        """Begin to send numbers to all; what is returned waits, and gives those of all in the order of the ranks."""


class Alone:
    """A group of one process, which never waits."""

    rank, size = 0, 1

    def begin_sum(self, tensor: Tensor) -> Wait:
        """Leave the tensor as it is."""
        return lambda: None

    def gather(self, tensor: Tensor) -> list[Tensor]:
        """Return the tensor."""
        return [tensor]

    def begin_exchange(self, numbers: Sequence[float]) -> Callable[[], list[float]]:
        """Give the numbers back."""
        return lambda: list(numbers)


def part_of(count: int, rank: int, size: int) -> slice:
    """Return which of ``count`` things in a row belong to a rank: as many as to any other, or one fewer."""
    return slice(count * rank // size, count * (rank + 1) // size)


class Processes:
    """Several processes, as torchrun has started them. :meth:`joined` makes it.

    Attributes:
        rank: the number of this process, from 0.
        size: how many there are.
        asked_to_stop: gives the signal that asks this process for the end, or None.
        signal: the signal that asked one of them for the end, as all know it since the last exchange; None without one.
        board: their short messages.
    """

    def __init__(self, rank: int, size: int, store: Store) -> None:
        self.rank, self.size = rank, size
        self.asked_to_stop: Callable[[], int | None] = lambda: None
        self.signal: int | None = None
        self._roll_call = RollCall(store, rank, size)
        self.board = Board(store, rank, size, self.heed, self._or_lost)

    @classmethod
    def joined(cls, timeout: float, attempt: int) -> Processes:
        """Return the processes when all of them have come.

        Args:
            timeout: seconds that a process waits for the others before it takes them for lost.
            attempt: how often they have been started before.

        Raises:
            UserError: when this torch has no ``torch.distributed``.
            ProcessError: when the others cannot be reached in time.
        """
        from torch import distributed

        if not distributed.is_available():
            raise UserError("this torch was built without torch.distributed; train in one process, or install another")
        from torch.distributed.rendezvous import rendezvous

        patience = timedelta(seconds=timeout)
        try:
            common, rank, size = next(rendezvous("env://", timeout=patience))
            # torchrun keeps its store over restarts. What processes wrote there that have ended must not be read again:
            # addresses above all, at which nobody would answer.
            store = distributed.PrefixStore(f"layerkit/{attempt}", common)  # type: ignore[attr-defined] # public, untyped
            distributed.init_process_group(_backend(), store=store, rank=rank, world_size=size, timeout=patience)
        except (RuntimeError, ValueError) as error:
            where = f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
            raise ProcessError(f"the other processes cannot be reached at {where}: {_first_line(error)}") from error
        return cls(rank, size, store)

    @contextmanager
    def ending_together(self) -> Iterator[None]:
        """Stop all processes together: if one fails inside ``with``, all raise the same error with its rank and reason.

        Raises:
            ProcessError: instead of every error of layerkit, and of a lack of memory. Any other is raised as it is in
                the process that it came from.
        """
        from torch import distributed

        try:
            yield
        except (ProcessError, StoppedError):
            raise  # the others have the same
        except BaseException as error:
            reason = _reason(error)
            code = getattr(error, "exit_code", 1)
            told = self._roll_call.end(f"process {self.rank} of {self.size} failed: {reason}", code)
            if isinstance(error, LayerkitError) or out_of_memory(error):
                raise ProcessError(*told) from error
            raise
        else:
            distributed.destroy_process_group()
        finally:
            self._roll_call.close()

    def heed(self) -> None:
        """Raise what ends the work of all.

        Raises:
            ProcessError: when another process has failed, or was killed.
            StoppedError: when this process is asked to stop, and the others too.
        """
        with self._or_lost():
            told = self._roll_call.reason()
        signal = self.asked_to_stop()
        if signal is not None and told is None:
            # When a process was killed, torchrun stops the others.
            told = self._roll_call.why(f"signal {signal} asks the others to stop")
        if told is not None:
            raise ProcessError(*told)
        if signal is not None:
            raise StoppedError(f"process {self.rank} of {self.size} stopped with the others", signal)

    def begin_sum(self, tensor: Tensor) -> Wait:
        """Begin to replace the tensor by the sum of all processes' tensors; the same bits in each.

        Raises:
            ProcessError: here or when it is waited for, when a process is lost.
        """
        from torch import distributed

        with self._or_lost():
            work = distributed.all_reduce(tensor, async_op=True)
        return lambda: self._wait(work)

    def gather(self, tensor: Tensor) -> list[Tensor]:
        """Return the tensors of all processes in the order of the ranks; all have one shape.

        Raises:
            ProcessError: when a process is lost.
        """
        from torch import distributed

        tensors = [torch.empty_like(tensor) for _ in range(self.size)]
        with self._or_lost():
            distributed.all_gather(tensors, tensor)
        return tensors

    def begin_exchange(self, numbers: Sequence[float]) -> Callable[[], list[float]]:
        """Begin to send numbers to all; what is returned waits, and gives those of all in the order of the ranks.

        The signals that ask for the end go with them: a training stops after the same step everywhere.

        Raises:
            ProcessError: here or when it is waited for, when a process is lost.
        """
        from torch import distributed

        own = torch.tensor([self.asked_to_stop() or 0, *numbers], dtype=torch.float64)
        rows = [torch.empty_like(own) for _ in range(self.size)]
        with self._or_lost():
            work = distributed.all_gather(rows, own, async_op=True)

        def received() -> list[float]:
            self._wait(work)
            signals, *columns = torch.stack(rows, 1).tolist()
            self.signal = int(max(signals)) or None
            return [number for row in zip(*columns, strict=True) for number in row]

        return received

    def joined_parts(self, part: Tensor, count: int) -> Tensor:
        """Return all ``count`` rows, of which each process has its :func:`part_of`, along the first dimension.

        Raises:
            ProcessError: when a process is lost.
        """
        most = -(-count // self.size)
        padded = part.new_zeros((most, *part.shape[1:]))
        padded[: len(part)] = part
        lengths = [_length(part_of(count, rank, self.size)) for rank in range(self.size)]
        return torch.cat([rows[:length] for rows, length in zip(self.gather(padded), lengths, strict=True)])

    def take_from_first(self, tensors: Sequence[Tensor]) -> None:
        """Replace every tensor by that of rank 0; those of one place have one shape and dtype.

        Raises:
            ProcessError: when a process is lost.
        """
        from torch import distributed

        for tensor in tensors:
            whole = tensor.contiguous()
            with self._or_lost():
                distributed.broadcast(whole, 0)
            tensor.copy_(whole)

    def from_first(self, message: dict[str, Any] | None) -> dict[str, Any]:
        """Return the message that rank 0 gives, data as JSON has it; the others give None.

        Raises:
            ProcessError: when a process is lost.
        """
        data = torch.frombuffer(bytearray(json.dumps(message).encode()), dtype=torch.uint8)
        length = torch.tensor([len(data)])
        self.take_from_first([length])
        text = data if self.rank == 0 else torch.empty(int(length), dtype=torch.uint8)
        self.take_from_first([text])
        received: dict[str, Any] = json.loads(text.numpy().tobytes())
        return received

    def check_same_data(self, *tensors: Tensor) -> None:
        """Make sure that all processes have read the same.

        Raises:
            DataError: when one has not.
            ProcessError: when a process is lost.
        """
        digest = hashlib.sha256()
        for tensor in tensors:
            digest.update(str(tuple(tensor.shape)).encode())
            digest.update(tensor.numpy().tobytes())
        first, *others = self.gather(torch.tensor(list(digest.digest())))
        for rank, other in enumerate(others, start=1):
            if not other.equal(first):
                raise DataError(f"process {rank} reads other data than process 0; give every machine the same files")

    def _wait(self, work: Any) -> None:
        with self._or_lost():
            work.wait()

    @contextmanager
    def _or_lost(self) -> Iterator[None]:
        """Find out which process is lost when an operation fails inside ``with``."""
        try:
            yield
        except RuntimeError as error:
            raise ProcessError(*self._roll_call.lost(_first_line(error))) from error


def _backend() -> str:
    """Return which libraries carry tensors: gloo those of processors, nccl those of GPUs."""
    return "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"


def _length(part: slice) -> int:
    return int(part.stop - part.start)


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _reason(error: BaseException) -> str:
    """Return why a process fails, in one sentence."""
    if out_of_memory(error):
        return "not enough memory; use smaller batches, or a smaller network"
    if isinstance(error, LayerkitError):
        return str(error)
    if isinstance(error, KeyboardInterrupt):
        return "it was interrupted"
    return f"{type(error).__name__}: {_first_line(error)}"
