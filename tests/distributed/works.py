"""What the processes of the tests do; here, where each of them can import it."""

from __future__ import annotations

import errno
import io
import json
import os
import signal
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from layerkit.cli import denoising, run
from layerkit.distributed.group import Alone, Group, Processes, part_of
from layerkit.distributed.launch import processes_of_torchrun
from layerkit.errors import ProcessError, RunError
from layerkit.spec.architecture import build
from layerkit.spec.loading import load_architecture
from layerkit.training import session
from layerkit.training.following import begin_together
from layerkit.training.shared_trainer import SharedTrainer
from layerkit.training.trainer import Trainer

ARCHITECTURES = Path(__file__).parents[2] / "architectures"

NORMALIZED = json.dumps(
    {
        "format": 1,
        "name": "normalized",
        "input": {"channels": 3, "height": 16, "width": 16},
        "layers": [
            {"type": "conv2d", "out_channels": 6, "kernel_size": 3, "padding": 1, "bias": False},
            {"type": "batch_norm2d"},
            {"type": "relu"},
            {"type": "residual", "layers": [{"type": "batch_norm2d", "affine": False}, {"type": "relu"}]},
            {"type": "conv2d", "out_channels": 3, "kernel_size": 3, "padding": 1},
        ],
        "training": {
            "loss": {"type": "mse"},
            "optimizer": {"type": "adam"},
            "noise": {"type": "gaussian", "sigma": 25},
            "batch_size": 4,
        },
    }
)
NETWORKS = {name: str(ARCHITECTURES / f"{name}.json") for name in ("table1", "strong", "unet")} | {
    "batch_norm2d": NORMALIZED
}
COUNTS = [4] * 9 + [3]
"""Samples in each of ten steps; the last batch of an epoch may have fewer."""


def distance(these: list[np.ndarray], those: list[np.ndarray]) -> float:
    """Return how far two networks are from each other, relative to the length of all that the second has learned."""
    first, second = (np.concatenate([tensor.ravel().astype(float) for tensor in state]) for state in (these, those))
    return float(np.linalg.norm(first - second) / np.linalg.norm(second))


def joined() -> Processes:
    group = processes_of_torchrun()
    assert group is not None
    return group


def operations(signals: dict[int, int]) -> dict[str, Any]:
    group = joined()
    rank = group.rank
    with group.ending_together():
        taken = group.board.gather("taken", [group.board.take("number") for _ in range(3)])
        group.asked_to_stop = lambda: signals.get(rank)
        total, copied = torch.tensor([rank + 1.0, 10.0 * rank]), torch.full((2, 3), float(rank)).t()
        wait = group.begin_sum(total)
        numbers = group.begin_exchange([rank, rank + 0.5])
        wait()
        group.take_from_first([copied])
        return {
            "place": (rank, group.size),
            "sum": total.tolist(),
            "numbers": numbers(),
            "signal": group.signal,
            "gathered": [tensor.tolist() for tensor in group.gather(torch.tensor([rank]))],
            "parts": group.joined_parts(torch.arange(5)[part_of(5, rank, group.size)], 5).tolist(),
            "taken": sorted(number for each in taken for number in each),
            "copied": copied.unique().tolist(),
            "message": group.from_first({"text": "é", "list": [1, None]} if rank == 0 else None),
        }


def failing(rank: int, error: type[BaseException], text: str) -> tuple[str, str, int]:
    group = joined()
    try:
        with group.ending_together():
            group.begin_sum(torch.zeros(3))()
            if group.rank == rank:
                raise error(text)
            group.begin_sum(torch.zeros(3))()
    except Exception as raised:
        return type(raised).__name__, str(raised), getattr(raised, "exit_code", 1)
    return "nothing", "", 0


def killed(rank: int) -> str:
    group = joined()
    try:
        with group.ending_together():
            group.begin_sum(torch.zeros(3))()
            if group.rank == rank:
                os.kill(os.getpid(), signal.SIGKILL)
            group.begin_sum(torch.zeros(3))()
    except ProcessError as error:
        return str(error)
    return "nothing"


def trainer_of(source: str, seed: int, dtype: torch.dtype, kind: type[Trainer], group: Group | None) -> Trainer:
    """Return a trainer of a file's network, or of a JSON text's."""
    architecture = load_architecture(source)
    training, network = architecture.trained, build(architecture, seed).to(dtype=dtype)
    parts = network, training.loss.build(), training.optimizer.build(network.param())
    schedule = training.schedule.build() if training.schedule else None
    return Trainer(*parts, schedule) if kind is Trainer else kind(*parts, schedule, group)


def batch_of(shape: tuple[int, ...], count: int, number: int, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(number)
    noisy, target = torch.rand(2, count, *shape, generator=generator)
    return noisy.to(dtype), target.to(dtype)


def steps_alone(
    source: str, counts: list[int], dtype: str, kind: type[Trainer] = Trainer, group: Group | None = None
) -> tuple[list[float], list[np.ndarray]]:
    """Return the losses of some steps, with so many samples each, and all of the network's state after them."""
    trainer = trainer_of(source, 0, getattr(torch, dtype), kind, group or Alone())
    shape = load_architecture(source).input.shape
    batches = (batch_of(shape, count, number, getattr(torch, dtype)) for number, count in enumerate(counts))
    losses = [trainer.step(*batch) for batch in batches]
    return losses, [tensor.numpy() for tensor in trainer.network.state_dict().values()]


def steps(
    source: str, counts: list[int], dtypes: list[str], kind: type[Trainer] = SharedTrainer
) -> list[tuple[list[float], list[np.ndarray]]]:
    """Return what :func:`steps_alone` does, made by all processes together, in each dtype."""
    group = joined()
    with group.ending_together():
        return [steps_alone(source, counts, dtype, kind, group) for dtype in dtypes]


def command(arguments: list[str], stop: tuple[int, int] | None = None, full_disk: bool = False) -> tuple[int, str, str]:
    """Return the exit code of a command line, what it prints as an error, and what else it prints.

    Args:
        arguments: of the command line.
        stop: a rank, and the number of the step before which it gets a SIGTERM.
        full_disk: whether no checkpoint can be written.
    """
    if stop is not None:
        _stop_before(*stop)
    if full_disk:
        session.save = _no_space  # type: ignore[attr-defined]
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    with redirect_stderr(io.StringIO()) as errors, redirect_stdout(io.StringIO()) as output:
        code = run(arguments)
    return code, errors.getvalue(), output.getvalue()


def denoise_until(arguments: list[str], rank: int, what: str, happened: str, go: str) -> tuple[int, str]:
    """Denoise pictures until something happens in a rank, when it is about to write its first that it has for itself.

    Args:
        arguments: of the command line.
        rank: in which it happens.
        what: "full disk" or "kill", for which the other process waits before it writes its first; or "wait".
        happened: a pipe through which it is told.
        go: a pipe through which "wait" is told to go on.
    """
    write, own, count = denoising.write_pages, int(os.environ["RANK"]), 0

    def written(*given: Any) -> None:
        nonlocal count
        count += 1
        if count == (2 if own == 0 else 1):  # rank 0 also writes the one that all have worked on
            if own == rank:
                Path(happened).write_text("")
                _happen(what, go)
            elif what != "wait":
                Path(happened).read_text()
        write(*given)

    denoising.write_pages = written  # type: ignore[assignment]
    return command(arguments)[:2]


def _happen(what: str, go: str) -> None:
    if what == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "full disk":
        os.fsync = _full  # type: ignore[assignment]
    if what == "wait":
        Path(go).read_text()


def _full(descriptor: int) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _stop_before(rank: int, number: int) -> None:
    begin, count = Processes.begin_exchange, 0

    def counting(self: Processes, numbers: Sequence[float]) -> Callable[[], list[float]]:
        nonlocal count
        if count == number and self.rank == rank:
            os.kill(os.getpid(), signal.SIGTERM)
        count += 1
        return begin(self, numbers)

    Processes.begin_exchange = counting  # type: ignore[method-assign]


def _no_space(path: Path, *_: Any, **__: Any) -> None:
    raise RunError(f"{path} cannot be written: {os.strerror(errno.ENOSPC)}")


def begin_with_other_data() -> str:
    """Return why a training does not begin in which every process reads other data."""
    group = joined()
    trainer = trainer_of(NORMALIZED, group.rank, torch.float32, SharedTrainer, group)
    inputs = torch.full((4, 3, 16, 16), float(group.rank))
    try:
        with group.ending_together():
            begin_together(group, SimpleNamespace(trainer=trainer, pairs=Pairs(inputs)))
    except ProcessError as error:
        return str(error)
    return "it begins"


class Pairs:
    """One chunk of pairs."""

    def __init__(self, inputs: torch.Tensor) -> None:
        self.inputs = inputs

    def __len__(self) -> int:
        return len(self.inputs)

    def chunk(self, epoch: int, number: int) -> tuple[torch.Tensor, torch.Tensor]:
        return self.inputs, self.inputs
