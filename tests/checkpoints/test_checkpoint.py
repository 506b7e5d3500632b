"""Checkpoints: what is saved is loaded, and nothing else is, however it is damaged."""

from __future__ import annotations

import json
import os
import pickle
import random
import struct
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from layerkit.checkpoints import checkpoint
from layerkit.checkpoints.checkpoint import load, save, signed
from layerkit.data.noise_level import NoiseRange
from layerkit.errors import CheckpointError, RunError
from layerkit.registry.catalogue import installed
from layerkit.spec.architecture import build
from layerkit.spec.loading import load_architecture

Forge = Callable[..., Path]


@pytest.fixture
def small(tmp_path) -> bytes:
    """Return the bytes of a checkpoint that is small enough to damage everywhere."""
    layer = {"type": "conv2d", "out_channels": 1, "kernel_size": 1}
    tree = {"format": 1, "name": "small", "input": {"channels": 1, "height": 1, "width": 1}, "layers": [layer]}
    architecture = load_architecture(json.dumps(tree))
    save(tmp_path / "small", build(architecture), architecture, position={"epoch": 1})
    return (tmp_path / "small").read_bytes()


# What is saved is loaded


def test_everything_comes_back(tmp_path, tiny, saved):
    held = load(saved)
    network = build(held.architecture, 3)
    for name, tensor in network.state_dict().items():
        assert torch.equal(held.network.state_dict()[name], tensor)
    optimizer = held.architecture.training.optimizer.build(network.param())
    assert held.optimizer_state.keys() == optimizer.state_dict().keys()
    assert held.position == {"epoch": 1}
    assert not held.network.training
    x = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    assert torch.equal(held.network(x), network.eval()(x))


def test_a_checkpoint_prints_no_tensors(saved):
    lines = repr(load(saved)).splitlines()
    assert [line.partition(":")[0].strip() for line in lines[1:-1]] == [
        "architecture",
        "network",
        "optimizer_state",
        "position",
        "noise_range",
    ]
    assert lines[1] == "  architecture: 'tiny'" and lines[3] == "  optimizer_state: 13 tensors"


def test_the_packages_are_named(saved):
    requires = load(saved).architecture.requires
    assert requires["layer"]["batch_norm2d"].startswith("layerkit-normalization==")
    assert requires["optimizer"]["adam"].startswith("layerkit==")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_kind_of_number_is_kept(tmp_path, tiny, dtype):
    architecture = load_architecture(json.dumps(tiny.tree()))
    network = build(architecture).to(dtype=dtype)
    save(tmp_path / "file", network, architecture)
    held = load(tmp_path / "file")
    assert {tensor.dtype for tensor, _ in held.network.param()} == {dtype}
    assert held.position == {}
    assert held.optimizer_state == {}


def test_the_noise_of_the_training_comes_back(tmp_path, saved):
    held = load(saved)
    assert held.noise_range is None  # as in checkpoints from before it was kept
    save(tmp_path / "file", held.network, held.architecture, noise_range=NoiseRange(4.25, 20))
    assert load(tmp_path / "file").noise_range == NoiseRange(4.25, 20)


def test_a_network_without_numbers(tmp_path, tiny):
    architecture = load_architecture(json.dumps(tiny.tree() | {"layers": [{"type": "relu"}]}))
    save(tmp_path / "file", build(architecture), architecture)
    assert load(tmp_path / "file").network.state_dict() == {}


def test_weights_that_are_not_finite_are_not_written(tmp_path, tiny, saved):
    held, before = load(saved), saved.read_bytes()
    held.network[0].bias[0] = torch.nan
    with pytest.raises(CheckpointError, match=r"saved.safetensors is not written: the weights 0\.bias are not finite"):
        save(saved, held.network, held.architecture)
    assert saved.read_bytes() == before


def test_a_disk_that_refuses(tmp_path, saved, monkeypatch):
    held, before = load(saved), saved.read_bytes()
    monkeypatch.setattr("os.fsync", lambda descriptor: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(RunError, match=r"saved\.safetensors cannot be written: No space left on device"):
        save(saved, held.network, held.architecture)
    assert saved.read_bytes() == before


# Damage


def damaged(path: Path, data: bytes) -> bool:
    path.write_bytes(data)
    try:
        load(path)
    except CheckpointError as error:
        assert str(path) in str(error)
        return True
    return False


def test_every_truncation_is_refused(tmp_path, small, thorough):
    assert all(damaged(tmp_path / "cut", small[:size]) for size in range(0, len(small), 1 if thorough else 7))
    assert damaged(tmp_path / "cut", small[:-1])
    assert damaged(tmp_path / "cut", small + b"\0")


def test_every_flipped_bit_of_the_header_is_refused(tmp_path, small, thorough):
    bits = 8 * (8 + int.from_bytes(small[:8], "little"))
    for bit in range(0, bits, 1 if thorough else 17):
        assert damaged(tmp_path / "flipped", flipped(small, bit)), bit


def test_flipped_bits_of_the_numbers_are_refused(tmp_path, saved, thorough):
    data = saved.read_bytes()
    first = 8 * (8 + int.from_bytes(data[:8], "little"))
    drawn = random.Random(0)
    for _ in range(10_000 if thorough else 300):
        bit = drawn.randrange(first, 8 * len(data))
        assert damaged(tmp_path / "flipped", flipped(data, bit)), bit


def flipped(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def test_a_file_with_another_one_behind_it(tmp_path, saved):
    data = saved.read_bytes()
    assert damaged(tmp_path / "twice", data + data)


# What is no checkpoint


def test_a_pickle_is_not_opened(tmp_path):
    class Trap:
        def __reduce__(self) -> Any:
            return os.mkdir, (str(tmp_path / "sprung"),)

    path = tmp_path / "network.safetensors"
    path.write_bytes(pickle.dumps(Trap()))
    with pytest.raises(CheckpointError, match="it looks like a pickle, which can run code"):
        load(path)
    torch.save({"trap": Trap()}, path)
    assert zipfile.is_zipfile(path)
    with pytest.raises(CheckpointError, match="it looks like a pickle, which can run code"):
        load(path)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"1234567",
        b"\0" * 8,
        b"\0" * 100,
        b"\xff" * 100,
        struct.pack("<Q", 2**63) + b"{}",
        struct.pack("<Q", 2) + b"{}",
        struct.pack("<Q", 3) + b"{}",
        json.dumps({"sha256": "0" * 64}).encode(),
        b'{"format": 1, "name": "a spec"}',
    ],
)
def test_files_of_other_kinds(tmp_path, data):
    path = tmp_path / "file"
    path.write_bytes(data)
    with pytest.raises(
        CheckpointError, match=r"file is not a checkpoint of layerkit, or (was cut short|its beginning)"
    ):
        load(path)


def test_a_safetensors_file_of_somebody_else(tmp_path):
    path = tmp_path / "file"
    safetensors.torch.save_file({"weight": torch.zeros(3)}, path)
    with pytest.raises(CheckpointError, match="file is not a checkpoint of layerkit"):
        load(path)
    path.write_bytes(signed(safetensors.torch.save({"weight": torch.zeros(3)}, {"sha256": "0" * 64})))
    with pytest.raises(CheckpointError, match="file is not a checkpoint of layerkit: its description cannot be read"):
        load(path)


def test_a_missing_file_a_folder_and_a_pipe(tmp_path):
    with pytest.raises(CheckpointError, match="missing cannot be read: there is no such file"):
        load(tmp_path / "missing")
    with pytest.raises(CheckpointError, match=r"is not a file; give the \.safetensors file that layerkit train has"):
        load(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(CheckpointError, match="pipe is not a file"):
        load(tmp_path / "pipe")
    with pytest.raises(CheckpointError, match="cannot be read"):
        load("with\0zero")


@pytest.mark.parametrize("size", [2**33, checkpoint.MAX_BYTES + 1])
def test_a_huge_file_is_refused_at_once(tmp_path, saved, size, at_most):
    path = tmp_path / "huge"
    path.write_bytes(saved.read_bytes())
    os.truncate(path, size)  # a hole, which takes no space
    tracemalloc.start()
    with at_most(1000), pytest.raises(CheckpointError, match="huge"):
        load(path)
    assert tracemalloc.get_traced_memory()[1] < 2**25
    tracemalloc.stop()


def test_a_file_that_is_replaced_while_it_is_read(tmp_path, saved, monkeypatch):
    data, check = saved.read_bytes(), checkpoint._check_content

    def replaced(*arguments: Any) -> None:
        check(*arguments)
        (tmp_path / "new").write_bytes(data)
        os.replace(tmp_path / "new", saved)

    monkeypatch.setattr(checkpoint, "_check_content", replaced)
    with pytest.raises(CheckpointError, match="was replaced while it was being read; try again"):
        load(saved)


def test_the_whole_catalogue_is_not_needed(saved):
    assert load(saved, catalogue=installed()).architecture.name == "tiny"


def test_bytes_without_a_checksum_cannot_be_signed():
    with pytest.raises(ValueError, match="no checksum in these bytes that could be replaced"):
        signed(safetensors.torch.save({"weight": torch.zeros(3)}))
