"""The processes of a training other than rank 0, which write nothing.

Rank 0 has the run's folder: it reads the spec and the last checkpoint, writes the metrics and saves. The others receive
what they need to take the same steps. So they neither read nor write that folder, which may be on another machine.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from layerkit.contracts.module import Module
from layerkit.distributed.group import Processes
from layerkit.errors import StoppedError
from layerkit.registry.catalogue import Catalogue
from layerkit.spec.architecture import Architecture, build
from layerkit.spec.loading import load_architecture
from layerkit.training.loop import fit
from layerkit.training.preparing import Prepared, prepare
from layerkit.training.progress import Position
from layerkit.training.run import Settings


@dataclass(frozen=True)
class Task:
    """The settings that all processes of a training need.

    Attributes:
        architecture: what is trained, and how.
        settings: the data, and how they are used.
        position: where the training goes on.
        dtype: of the weights.
    """

    architecture: Architecture
    settings: Settings
    position: Position
    dtype: torch.dtype

    def to_data(self) -> dict[str, Any]:
        """Return it as data that JSON can hold."""
        return {
            "architecture": self.architecture.to_json(),
            "settings": self.settings.model_dump(),
            "position": self.position.model_dump(),
            "dtype": str(self.dtype).removeprefix("torch."),
        }

    @classmethod
    def from_data(cls, data: dict[str, Any], catalogue: Catalogue) -> Task:
        """Return the task that such data describe."""
        return cls(
            load_architecture(data["architecture"], catalogue=catalogue),
            Settings.model_validate(data["settings"]),
            Position.model_validate(data["position"]),
            getattr(torch, data["dtype"]),
        )


def follow(group: Processes, catalogue: Catalogue, asked_to_stop: Callable[[], int | None]) -> None:
    """Take part in the training that rank 0 leads, until it ends.

    Args:
        group: the processes, of which this one is not rank 0.
        catalogue: of the components that may be named.
        asked_to_stop: gives the signal that asks for the end, or None.

    Raises:
        LayerkitError: as the training of one process does.
        StoppedError: when one of the processes was asked to stop.
        ProcessError: when a process is lost.
    """
    task = Task.from_data(group.from_first(None), catalogue)
    training = task.architecture.trained
    network = build(task.architecture, training.seed).to(dtype=task.dtype)
    prepared = prepare(task.architecture, network, task.settings, catalogue, group)
    begin_together(group, prepared)
    events = fit(
        prepared.trainer,
        prepared.pairs,
        prepared.dataset.validation,
        prepared.denoiser,
        epochs=training.epochs,
        batch_size=training.batch_size,
        epoch=task.position.epoch,
        batch=task.position.batch,
        inspector=prepared.inspector,
    )
    group.asked_to_stop = asked_to_stop
    for _ in events:
        if group.signal is not None:
            raise StoppedError(f"process {group.rank} of {group.size} stopped with the others", group.signal)


def dtype_of(network: Module) -> torch.dtype:
    """Return the dtype of a network's weights, which is torch's default where there are none."""
    return next((parameter.dtype for parameter, _ in network.param()), torch.get_default_dtype())


def begin_together(group: Processes, prepared: Prepared) -> None:
    """Take over the weights and the optimizer's state of rank 0, and make sure that all read the same data.

    Raises:
        DataError: when they do not.
        ProcessError: when a process is lost.
    """
    network, optimizer = prepared.trainer.network, prepared.trainer.optimizer
    weights, state = network.state_dict(), dict(optimizer.state_dict())
    group.take_from_first([*weights.values(), *state.values()])
    network.load_state_dict(weights)
    optimizer.load_state_dict(state)
    group.check_same_data(*prepared.pairs.chunk(0, 0))
