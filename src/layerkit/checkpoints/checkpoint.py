"""Networks on disk: weights as safetensors, with the architecture and a checksum inside.

The file is one safetensors file with three strings in its metadata: ``architecture``, the JSON text of the resolved
spec; ``layerkit``, a JSON object with the format, the position of the training and the noise of its inputs; and
``sha256``, the checksum of the whole file, computed with zeros in place of the checksum. Nothing in the file is ever
executed: the architecture is read by the same loader as every spec, and the names in it are looked up in the catalogue
of installed components.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from layerkit.builtin.layers.sequential import Sequential
from layerkit.contracts.module import Module
from layerkit.contracts.optimizer import Optimizer
from layerkit.contracts.printing import described, short
from layerkit.contracts.tree import summary
from layerkit.data.noise_level import NoiseRange
from layerkit.disk import why_unreadable, write_atomically
from layerkit.errors import CheckpointError, SpecError
from layerkit.registry.catalogue import Catalogue, installed
from layerkit.spec import text as jsontext
from layerkit.spec.architecture import Architecture, build
from layerkit.spec.loading import read_network
from layerkit.spec.requirements import with_requirements
from layerkit.spec.tracing import trace
from layerkit.wording import show

FORMAT = 1
MAX_BYTES = 2**36
"""The largest file, in bytes, that is opened: more than the largest network needs with an optimizer's state."""
MAX_HEADER = 2**24
MAX_OBJECTS = 2**17
"""How many tensors a file may describe: more than the largest network has with an optimizer's state."""
MAX_STATE = 64
"""How many times the numbers of its network a checkpoint may hold at most."""

_CHECKSUM = re.compile(rb'"sha256":"([0-9a-f]{64})"')
_BLANK = "0" * 64
_NETWORK, _OPTIMIZER = "network.", "optimizer."


@dataclass(frozen=True)
class Checkpoint:
    """The content of a checkpoint.

    Attributes:
        architecture: the resolved architecture of the training. Its ``training`` is None where the file has no such
            block, and where the block names a component that no installed package provides, since the network works
            without it. In the second case ``architecture.unread_training`` is the block as data, and
            ``architecture.trained`` raises an error that says what to install.
        network: the built network with its weights.
        optimizer_state: the argument for :meth:`Optimizer.load_state_dict`; empty where none was saved.
        position: how far the training had come, as plain numbers; empty where it was not saved.
        noise_range: how strong the noise of the training inputs was; None where it was not saved.
    """

    architecture: Architecture
    network: Sequential
    optimizer_state: Mapping[str, Tensor] = field(default_factory=dict)
    position: Mapping[str, Any] = field(default_factory=dict)
    noise_range: NoiseRange | None = None

    def __repr__(self) -> str:
        parts = {
            "architecture": short(self.architecture.name),
            "network": summary(self.network),
            "optimizer_state": f"{len(self.optimizer_state)} tensors",
            "position": short(dict(self.position)),
            "noise_range": short(self.noise_range),
        }
        return described("Checkpoint", parts)


def save(
    path: str | Path,
    network: Module,
    architecture: Architecture,
    *,
    optimizer: Optimizer | None = None,
    position: Mapping[str, Any] | None = None,
    noise_range: NoiseRange | None = None,
) -> None:
    """Write a checkpoint; an older file of that name is replaced only after the new one is completely on the disk.

    Raises:
        CheckpointError: when the weights are not finite, so that :func:`load` would refuse them.
        RunError: when the file cannot be written.
    """
    if architecture.requires is None:
        architecture = with_requirements(architecture, installed())
    weights = network.state_dict()
    unusable = _not_finite(weights)
    if unusable:
        raise CheckpointError(f"{path} is not written: the weights {unusable} are not finite")
    tensors = {_NETWORK + name: tensor for name, tensor in weights.items()}
    if optimizer is not None:
        tensors |= {_OPTIMIZER + name: tensor for name, tensor in optimizer.state_dict().items()}
    description = {"format": FORMAT, "position": dict(position or {})}
    if noise_range is not None:
        description["noise"] = [noise_range.low, noise_range.high]
    data: bytes = safetensors.torch.save(
        {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()},
        {
            "architecture": architecture.to_json(),
            "layerkit": json.dumps(description),
            "sha256": _BLANK,
        },
    )
    write_atomically(path, signed(data))


def signed(data: bytes) -> bytes:
    """Return a file's bytes with the checksum in them replaced by the right one.

    Raises:
        ValueError: when there is no checksum to replace.
    """
    found = _CHECKSUM.search(data)
    if found is None:
        raise ValueError("there is no checksum in these bytes that could be replaced")
    start, stop = found.span(1)
    checksum = hashlib.sha256(data[:start] + _BLANK.encode() + data[stop:]).hexdigest()
    return data[:start] + checksum.encode() + data[stop:]


def load(path: str | Path, *, catalogue: Catalogue | None = None, device: torch.device | str = "cpu") -> Checkpoint:
    """Return the content of a checkpoint, with the network built and in evaluation mode.

    The packages of its layers must be installed; those of its training need not be (see :class:`Checkpoint`).

    Args:
        path: the file.
        catalogue: the components that may be named; by default all that are installed.
        device: where the network is to lie, whatever device the checkpoint was saved on.

    Raises:
        CheckpointError: when the file is missing or damaged, is not a checkpoint, or does not fit its own architecture.
    """
    path = Path(path)
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # opening a pipe would wait for a writer
            raise CheckpointError(f"{path} is not a file; give the .safetensors file that layerkit train has written")
        with path.open("rb") as file:
            beginning, checksum = _beginning(file, path)
            try:
                # It maps the file into memory and checks the sizes without reading the data, however large the file is.
                with safetensors.safe_open(path, framework="pt") as content:
                    _check_content(file, beginning, checksum, path)
                    checkpoint = _read(content, path, catalogue, device)
            except (safetensors.SafetensorError, UnicodeError) as error:
                raise CheckpointError(f"{path} is damaged or was cut short: {error}") from None
            if not os.path.samestat(os.fstat(file.fileno()), path.stat()):
                raise CheckpointError(f"{path} was replaced while it was being read; try again")
    except (OSError, ValueError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(f"{path} cannot be read: {why_unreadable(error)}") from None
    return checkpoint


def _beginning(file: BinaryIO, path: Path) -> tuple[bytes, str]:
    """Return the bytes before the tensors' data, with zeros in place of the checksum, and the checksum."""
    size = os.fstat(file.fileno()).st_size
    start = file.read(8)
    length = int.from_bytes(start, "little")
    if size > MAX_BYTES:
        raise CheckpointError(f"{path} has {size:,} bytes; no checkpoint has more than {MAX_BYTES:,}")
    if len(start) < 8 or length > min(MAX_HEADER, size - 8):
        raise CheckpointError(f"{path} is not a checkpoint of layerkit, or was cut short{_looks_like(start)}")
    header = file.read(length)
    if header.count(b"{") > MAX_OBJECTS:  # each needs a thousand bytes of memory once it is parsed
        raise CheckpointError(f"{path} describes more than {MAX_OBJECTS:,} tensors; no checkpoint of layerkit does")
    found = list(_CHECKSUM.finditer(header))
    if len(found) != 1:
        raise CheckpointError(f"{path} is not a checkpoint of layerkit, or its beginning is damaged")
    first, last = found[0].span(1)
    return start + header[:first] + _BLANK.encode() + header[last:], found[0][1].decode()


def _check_content(file: BinaryIO, beginning: bytes, checksum: str, path: Path) -> None:
    """Refuse a file whose content does not match its checksum; uses a fixed amount of memory."""
    computed = hashlib.sha256(beginning)
    while block := file.read(2**20):
        computed.update(block)
    if computed.hexdigest() != checksum:
        raise CheckpointError(f"{path} is damaged: its content does not match its checksum; use an older checkpoint")


def _looks_like(start: bytes) -> str:
    if start.startswith((b"PK\x03\x04", b"\x80")):
        return "; it looks like a pickle, which can run code when it is opened, and layerkit never opens one as such"
    return ""


def _read(content: Any, path: Path, catalogue: Catalogue | None, device: torch.device | str) -> Checkpoint:
    """Return the content of an opened file, which comes from an unknown source, so nothing in it is trusted."""
    text, position, noise_range = _metadata(content.metadata() or {}, path)
    try:
        architecture = read_network(text, f"{path} (architecture)", catalogue=catalogue)
    except SpecError as error:
        raise CheckpointError(str(error)) from None
    names = content.keys()
    weights = [name for name in names if name.startswith(_NETWORK)]
    network = _built(architecture, sum(_numbers(content, name) for name in weights), path).to(device=device)
    allowed = MAX_STATE * sum(tensor.numel() for tensor in network.state_dict().values()) + 2**20
    if sum(_numbers(content, name) for name in names) > allowed:
        raise CheckpointError(f"{path} holds far more numbers than its network and an optimizer have")
    _load_weights(network, {name.removeprefix(_NETWORK): content.get_tensor(name) for name in weights}, path)
    state = [name for name in names if name.startswith(_OPTIMIZER)]
    optimizer_state = {name.removeprefix(_OPTIMIZER): content.get_tensor(name) for name in state}
    return Checkpoint(architecture, network.eval(), optimizer_state, position, noise_range)


def _metadata(metadata: Mapping[str, str], path: Path) -> tuple[str, dict[str, Any], NoiseRange | None]:
    """Return the text of the architecture, the position of the training and the noise of its inputs."""
    try:
        description = jsontext.parse(metadata["layerkit"], str(path))
        if description["format"] != FORMAT:
            given = show(description["format"])
            raise CheckpointError(f"{path} has format {given}; this layerkit reads format {FORMAT}")
        text, position, noise = metadata["architecture"], description["position"], description.get("noise")
        if not isinstance(position, dict):
            raise TypeError
        return text, position, None if noise is None else NoiseRange(*noise)
    except (SpecError, KeyError, TypeError, ValueError):
        raise CheckpointError(f"{path} is not a checkpoint of layerkit: its description cannot be read") from None


def _numbers(content: Any, name: str) -> int:
    return math.prod(content.get_slice(name).get_shape())


def _built(architecture: Architecture, numbers: int, path: Path) -> Sequential:
    """Return the built network; one with more parameters than the file is refused before it is built."""
    steps = trace(architecture.network, architecture.input.shape)
    promised = sum(step.parameters for step in steps if not step.container)
    if promised > numbers:
        raise CheckpointError(
            f"{path}: the network has {promised:,} parameters, but the file holds only {numbers:,} numbers for it"
        )
    return build(architecture, architecture.training.seed if architecture.training else 0)


def _load_weights(network: Sequential, weights: Mapping[str, Tensor], path: Path) -> None:
    floating = {tensor.dtype for tensor in weights.values() if tensor.is_floating_point()}
    if len(floating) > 1 or not floating <= {torch.float32, torch.float64}:
        given = ", ".join(sorted(str(dtype).removeprefix("torch.") for dtype in floating))
        raise CheckpointError(f"{path}: the weights must be all float32 or all float64, not {given}")
    unusable = _not_finite(weights)
    if unusable:
        raise CheckpointError(f"{path}: the weights {unusable} are not finite; use an older checkpoint")
    network.to(dtype=floating.pop() if floating else None)
    own = network.state_dict()
    wrong = [name for name in own.keys() & weights.keys() if own[name].dtype != weights[name].dtype]
    if wrong:
        name = min(wrong)
        raise CheckpointError(f"{path}: {name} must be {own[name].dtype}, not {weights[name].dtype}")
    try:
        network.load_state_dict(weights)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from None


def _not_finite(weights: Mapping[str, Tensor]) -> str:
    """Return the names of the weights that are not finite, as text; '' if there are none."""
    names = [name for name, tensor in weights.items() if tensor.is_floating_point() and not tensor.isfinite().all()]
    return ", ".join(names[:5])
