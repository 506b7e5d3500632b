"""Reads the state of a run from the files in its folder, and checks that these belong together.

``architecture.json`` says what is trained, and ``run.json`` on which data. A checkpoint holds the same, and the size
and checksum of the metrics at that time. So files of another run, or files that were changed by hand, contradict each
other, and continuing with them would be a different training.

Two things may differ. The packages are those that were installed when the file was last written. And the number of
epochs may be changed for a run; a checkpoint has the number from the time when it was saved.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import torch
from pydantic import ValidationError

from layerkit.checkpoints.checkpoint import Checkpoint, load
from layerkit.errors import CheckpointError, UserError
from layerkit.registry.catalogue import Catalogue
from layerkit.spec.architecture import Architecture
from layerkit.spec.differences import how_they_differ
from layerkit.spec.loading import load_architecture
from layerkit.training.progress import Position
from layerkit.training.run import Run, Settings


@dataclass(frozen=True)
class Standing:
    """The state of a run.

    Attributes:
        architecture: the architecture that is trained.
        checkpoint: the last checkpoint; None before the first.
        position: how far the training had come.
        metrics_lost: whether the metrics had lines and the file is missing.
    """

    architecture: Architecture
    checkpoint: Checkpoint | None
    position: Position
    metrics_lost: bool = False


def standing_of(run: Run, catalogue: Catalogue, device: torch.device | str = "cpu") -> Standing:
    """Return the state of a run, its network on a device; nothing is written.

    Raises:
        UserError: when its files are damaged, or contradict each other.
    """
    architecture = load_architecture(run.architecture, catalogue=catalogue)
    if not run.checkpoint.exists():
        if run.epochs_recorded > 1 or run.finished:
            raise UserError(
                f"{run.checkpoint} is missing, but {run.metrics.name} belongs to a training that had one; "
                f"put it back, or remove {run.metrics} to begin again"
            )
        return Standing(architecture, None, Position())
    checkpoint = load(run.checkpoint, catalogue=catalogue, device=device)
    _check_architecture(run, architecture, checkpoint)
    position = _position(run, checkpoint)
    _check_settings(run, position)
    if run.metrics.exists():
        _check_metrics(run, position)
        return Standing(architecture, checkpoint, position)
    begun_anew = position.model_copy(update={"metrics": 0})
    return Standing(architecture, checkpoint, begun_anew, metrics_lost=position.metrics > 0)


def _check_architecture(run: Run, architecture: Architecture, checkpoint: Checkpoint) -> None:
    _check_same(run, run.architecture.name, _what_is_trained(architecture), _what_is_trained(checkpoint.architecture))


def _check_settings(run: Run, position: Position) -> None:
    if position.settings:
        # Read as the file is: one that an older layerkit has saved says nothing of what came later.
        saved = Settings.model_validate(position.settings)
        here = run.read_settings()
        _check_same(run, run.settings.name, *(each.model_dump(exclude={"format"}) for each in (here, saved)))


def _check_same(run: Run, name: str, here: dict[str, Any], saved: dict[str, Any]) -> None:
    different = how_they_differ(here, saved, f"in {name}", f"in {run.checkpoint.name}")
    if different:
        raise UserError(
            f"the files in {run.folder} are not of one run: {different}; "
            "put back the file that was changed, or train in another folder with --output"
        )


def _what_is_trained(architecture: Architecture) -> dict[str, Any]:
    tree: dict[str, Any] = json.loads(architecture.to_json())
    tree.pop("requires", None)
    if isinstance(tree.get("training"), dict):
        tree["training"].pop("epochs", None)
    return tree


def _position(run: Run, checkpoint: Checkpoint) -> Position:
    try:
        return Position.model_validate_json(json.dumps(checkpoint.position))
    except ValidationError:
        raise CheckpointError(f"{run.checkpoint} does not say how far the training had come") from None


def _check_metrics(run: Run, position: Position) -> None:
    checksum = run.metrics_checksum(position.metrics)
    others = not checksum or position.metrics_sha256 not in ("", checksum)
    if others or (not position.metrics and run.epochs_recorded > 1):
        raise UserError(
            f"the files in {run.folder} are not of one run: {run.metrics.name} is not the one that "
            f"{run.checkpoint.name} was saved with, at {position.metrics:,} bytes; put back the file that was changed, "
            f"or remove {run.metrics} to go on without the earlier metrics"
        )
