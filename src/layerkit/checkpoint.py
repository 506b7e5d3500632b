"""Networks on disk: weights as safetensors, with the architecture and a checksum inside.

The file is one safetensors file. Its metadata has two texts: ``layerkit``, a JSON object with the architecture as it
was resolved and the position of the training, and ``sha256``, the checksum of the whole file with that text itself as
zeros. Nothing in the file is ever executed: the architecture goes through the loader of all specs, and names in it are
keys of the installed catalogue.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from layerkit import jsontext
from layerkit.architecture import Architecture
from layerkit.build import build
from layerkit.catalogue import Catalogue
from layerkit.errors import CheckpointError, SpecError
from layerkit.files import write_atomically
from layerkit.layers.sequential import Sequential
from layerkit.optimizer import Optimizer
from layerkit.spec import read_architecture

FORMAT = 1
_CHECKSUM = re.compile(rb'"sha256":"([0-9a-f]{64})"')
_BLANK = "0" * 64
_NETWORK, _OPTIMIZER = "network.", "optimizer."


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint holds.

    Attributes:
        architecture: as it was resolved for the training.
        network: built and with its weights.
        optimizer_state: what :meth:`Optimizer.load_state_dict` takes; empty where none was saved.
        position: how far the training had come, as plain numbers; empty where it was not saved.
    """

    architecture: Architecture
    network: Sequential
    optimizer_state: Mapping[str, Tensor] = field(default_factory=dict)
    position: Mapping[str, Any] = field(default_factory=dict)


def save(
    path: str | Path,
    network: Sequential,
    architecture: Architecture,
    *,
    optimizer: Optimizer | None = None,
    position: Mapping[str, Any] | None = None,
) -> None:
    """Write a checkpoint; an older file of that name is replaced only when the new one is safe on the disk.

    Raises:
        RunError: when the file cannot be written.
    """
    tensors = {_NETWORK + name: tensor for name, tensor in network.state_dict().items()}
    if optimizer is not None:
        tensors |= {_OPTIMIZER + name: tensor for name, tensor in optimizer.state_dict().items()}
    content = {"format": FORMAT, "architecture": architecture.to_json(), "position": dict(position or {})}
    data = safetensors.torch.save(
        {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()},
        {"layerkit": json.dumps(content), "sha256": _BLANK},
    )
    checksum = hashlib.sha256(data).hexdigest()
    write_atomically(path, data.replace(f'"sha256":"{_BLANK}"'.encode(), f'"sha256":"{checksum}"'.encode(), 1))


def load(path: str | Path, *, catalogue: Catalogue | None = None) -> Checkpoint:
    """Return what a checkpoint holds, with the network built, in evaluation mode.

    Raises:
        CheckpointError: when the file is missing, damaged, no checkpoint, or does not fit its own architecture.
    """
    path = Path(path)
    data = _verified(path)
    content = _content(data, path)
    try:
        architecture = read_architecture(content["architecture"], f"{path} (architecture)", catalogue=catalogue)
    except SpecError as error:
        raise CheckpointError(str(error)) from None
    tensors = safetensors.torch.load(data)
    network = build(architecture)
    weights = {name.removeprefix(_NETWORK): tensor for name, tensor in tensors.items() if name.startswith(_NETWORK)}
    unusable = [name for name, tensor in weights.items() if tensor.is_floating_point() and not tensor.isfinite().all()]
    if unusable:
        raise CheckpointError(f"{path}: the weights {', '.join(unusable[:5])} are not finite; use an older checkpoint")
    floating = next((tensor.dtype for tensor in weights.values() if tensor.is_floating_point()), torch.float32)
    try:
        network.to(dtype=floating).load_state_dict(weights)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from None
    state = {name.removeprefix(_OPTIMIZER): tensor for name, tensor in tensors.items() if name.startswith(_OPTIMIZER)}
    return Checkpoint(architecture, network.eval(), state, content["position"])


def _verified(path: Path) -> bytes:
    """Return the bytes of the file, which are those that were written."""
    try:
        data = path.read_bytes()
    except OSError as error:
        reason = "there is no such file" if isinstance(error, FileNotFoundError) else error.strerror or str(error)
        raise CheckpointError(f"{path} cannot be read: {reason}") from None
    header = data[8 : 8 + int.from_bytes(data[:8], "little")]
    found = _CHECKSUM.findall(header)
    if len(found) != 1:
        raise CheckpointError(f"{path} is not a checkpoint of layerkit, or its beginning is damaged")
    blank = data.replace(b'"sha256":"' + found[0] + b'"', f'"sha256":"{_BLANK}"'.encode(), 1)
    if hashlib.sha256(blank).hexdigest() != found[0].decode():
        raise CheckpointError(f"{path} is damaged: its content does not match its checksum; use an older checkpoint")
    return data


def _content(data: bytes, path: Path) -> dict[str, Any]:
    header = data[8 : 8 + int.from_bytes(data[:8], "little")]
    try:
        metadata = jsontext.parse(jsontext.decode(header, str(path)), str(path))["__metadata__"]
        content = jsontext.parse(metadata["layerkit"], str(path))
        if content["format"] != FORMAT:
            raise CheckpointError(f"{path} has format {content['format']!r}; this layerkit reads format {FORMAT}")
        if not isinstance(content["architecture"], str) or not isinstance(content["position"], dict):
            raise TypeError
    except (SpecError, KeyError, TypeError):
        raise CheckpointError(f"{path} is not a checkpoint of layerkit: its description cannot be read") from None
    return content
