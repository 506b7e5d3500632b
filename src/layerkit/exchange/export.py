"""Exports a network into a folder for another program, and compares the two before the folder appears."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import safetensors.torch
import torch
from torch import Tensor

from layerkit.checkpoints.checkpoint import Checkpoint, load, save
from layerkit.errors import RunError, UserError
from layerkit.exchange import onnx_file
from layerkit.exchange.card import card
from layerkit.exchange.comparison import largest_difference, sizes_to_compare
from layerkit.exchange.source import WEIGHTS, functions_in, source_of
from layerkit.exchange.twins import learned, twin_names, twin_of
from layerkit.registry.catalogue import Catalogue
from layerkit.training.run import METRICS

Format = Literal["onnx", "torch", "safetensors-hub"]
FORMATS: tuple[Format, ...] = get_args(Format)


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        folder: with all files.
        files: their names.
        shapes: of the samples that network and export were compared on.
        difference: the largest between their answers.
    """

    folder: Path
    files: list[str]
    shapes: list[tuple[int, ...]]
    difference: float


def export(
    path: Path, to: Format, folder: Path, overwrite: bool = False, catalogue: Catalogue | None = None
) -> Exported:
    """Write the network of a checkpoint for another program, and compare the two.

    Args:
        path: of the checkpoint.
        to: ``onnx``, for onnxruntime and its like, in any batch and, where the network allows it, any height and width;
            ``torch``, a module of ``torch.nn`` as readable Python beside its weights; ``safetensors-hub``, a folder as
            model hubs have it.
        folder: to write; it appears when all is done.
        overwrite: whether a folder that is there is replaced.
        catalogue: of the components that the network may have; by default all that are installed.

    Raises:
        UserError: when there is no such checkpoint, the folder is there already, a layer has no twin in ``torch.nn``,
            or a package is missing.
        RunError: when the export does not compute what the network does, or cannot be written.
    """
    if to == "onnx":
        onnx_file.check_installed()
    if folder.exists() and not overwrite:
        raise UserError(f"{folder} is there already; choose another with --output, or replace it with --overwrite")
    checkpoint = load(path, catalogue=catalogue)
    network, shape = checkpoint.network.to(dtype=torch.float32), checkpoint.architecture.input.shape
    shapes = sizes_to_compare(network, shape)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    except OSError as error:
        raise RunError(f"{folder} cannot be written: {error.strerror or error}") from error
    try:
        write = {"onnx": _onnx, "torch": _torch, "safetensors-hub": _hub}[to]
        run = write(checkpoint, made, path, len(shapes) > 1)
        difference = largest_difference(network, shapes, run, f"the export to {to}")
        made.chmod(0o755)
        _replace(folder, made)
    except OSError as error:
        raise RunError(f"{folder} cannot be written: {error.strerror or error}") from error
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return Exported(folder, sorted(os.listdir(folder)), shapes, difference)


def _replace(folder: Path, made: Path) -> None:
    """Put what was made into its place; a folder that is there is moved away first, and back if that fails."""
    if not folder.exists():
        os.replace(made, folder)
        return
    old = made.with_name(f"{made.name}-old")
    os.replace(folder, old)
    try:
        os.replace(made, folder)
    except OSError:
        os.replace(old, folder)
        raise
    if old.is_dir():
        shutil.rmtree(old, ignore_errors=True)
    else:
        old.unlink()


def _torch(checkpoint: Checkpoint, folder: Path, path: Path, any_size: bool) -> Callable[[Tensor], Tensor]:
    file = folder / "network.py"
    file.write_text(source_of(twin_of(checkpoint.architecture), checkpoint.architecture.input.shape), "utf-8")
    build, load_again = functions_in(file)
    module, own = build(), learned(checkpoint.network.state_dict())
    state = module.state_dict()
    for name, theirs in twin_names(own, state).items():
        state[theirs] = own[name].contiguous()
    safetensors.torch.save_file(state, folder / WEIGHTS)
    shutil.rmtree(folder / "__pycache__", ignore_errors=True)
    run = load_again()

    def evaluate(x: Tensor) -> Tensor:
        with torch.no_grad():
            answer: Tensor = run(x)
            return answer

    return evaluate


def _onnx(checkpoint: Checkpoint, folder: Path, path: Path, any_size: bool) -> Callable[[Tensor], Tensor]:
    with tempfile.TemporaryDirectory() as beside:
        _torch(checkpoint, Path(beside), path, any_size)
        module = functions_in(Path(beside) / "network.py")[1]()
        onnx_file.write_onnx(folder / "network.onnx", module, checkpoint.architecture.input.shape, any_size)
    return onnx_file.loaded(folder / "network.onnx")


def _hub(checkpoint: Checkpoint, folder: Path, path: Path, any_size: bool) -> Callable[[Tensor], Tensor]:
    file = folder / "model.safetensors"
    save(
        file,
        checkpoint.network,
        checkpoint.architecture,
        position=checkpoint.position,
        noise_range=checkpoint.noise_range,
    )
    (folder / "config.json").write_text(checkpoint.architecture.to_json(), "utf-8")
    metrics = (path if path.is_dir() else path.parent) / METRICS
    (folder / "README.md").write_text(card(checkpoint, _last_epoch(metrics)), "utf-8")
    again = load(file).network

    def evaluate(x: Tensor) -> Tensor:
        with torch.no_grad():
            return again.eval()(x)

    return evaluate


def _last_epoch(metrics: Path) -> dict[str, object]:
    """Return the last record of an epoch; nothing where there is none that can be read."""
    try:
        records = [json.loads(line) for line in metrics.read_text("utf-8").splitlines()]
    except (OSError, ValueError, RecursionError):
        return {}
    epochs = [record for record in records if isinstance(record, dict) and record.get("event") == "epoch"]
    return epochs[-1] if epochs else {}
