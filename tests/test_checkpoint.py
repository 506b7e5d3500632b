"""Checkpoints: what is saved is loaded, and nothing else is, however it is damaged or forged."""

from __future__ import annotations

import json
import os
import pickle
import random
import struct
import time
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from layerkit import checkpoint
from layerkit.build import build
from layerkit.catalogue import installed
from layerkit.checkpoint import load, save, signed
from layerkit.errors import CheckpointError, RunError
from layerkit.spec import load_architecture

Forge = Callable[..., Path]


@pytest.fixture
def saved(tmp_path, tiny) -> Path:
    """Return a checkpoint with parameters, statistics, a generator and an optimizer's state."""
    architecture = load_architecture(json.dumps(tiny.tree(optimizer={"type": "adam"})))
    network = build(architecture, 3)
    optimizer = architecture.training.optimizer.build(network.param())
    save(tmp_path / "saved.safetensors", network, architecture, optimizer=optimizer, position={"epoch": 1})
    return tmp_path / "saved.safetensors"


@pytest.fixture
def small(tmp_path) -> bytes:
    """Return the bytes of a checkpoint that is small enough to damage everywhere."""
    layer = {"type": "conv2d", "out_channels": 1, "kernel_size": 1}
    tree = {"format": 1, "name": "small", "input": {"channels": 1, "height": 1, "width": 1}, "layers": [layer]}
    architecture = load_architecture(json.dumps(tree))
    save(tmp_path / "small", build(architecture), architecture, position={"epoch": 1})
    return (tmp_path / "small").read_bytes()


@pytest.fixture
def forge(saved, tmp_path) -> Forge:
    """Return a function that writes a checkpoint with changes, and with a checksum that is right."""

    def forged(change: Callable[[dict[str, torch.Tensor]], Any] = lambda tensors: None, **metadata: Any) -> Path:
        with safetensors.safe_open(saved, framework="pt") as content:
            texts = content.metadata() | metadata
        tensors = safetensors.torch.load_file(saved)
        change(tensors)
        texts = {name: text for name, text in texts.items() if text is not None}
        path = tmp_path / "forged.safetensors"
        path.write_bytes(signed(safetensors.torch.save(tensors, texts)))
        return path

    return forged


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


def test_the_packages_are_named(saved):
    requires = load(saved).architecture.requires
    assert requires["layer"]["batch_norm2d"].startswith("layerkit-normalization==")
    assert requires["optimizer"]["adam"].startswith("layerkit-optimizers==")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_kind_of_number_is_kept(tmp_path, tiny, dtype):
    architecture = load_architecture(json.dumps(tiny.tree()))
    network = build(architecture).to(dtype=dtype)
    save(tmp_path / "file", network, architecture)
    held = load(tmp_path / "file")
    assert {tensor.dtype for tensor, _ in held.network.param()} == {dtype}
    assert held.position == {}
    assert held.optimizer_state == {}


def test_a_network_without_numbers(tmp_path, tiny):
    architecture = load_architecture(json.dumps(tiny.tree() | {"layers": [{"type": "relu"}]}))
    save(tmp_path / "file", build(architecture), architecture)
    assert load(tmp_path / "file").network.state_dict() == {}


def test_a_missing_plugin_is_named(saved, forge):
    with safetensors.safe_open(saved, framework="pt") as content:
        text = content.metadata()["architecture"]
    text = text.replace("batch_norm2d", "batch_norm_9d").replace("layerkit-normalization==0.1.0", "layerkit-nine==4.2")
    with pytest.raises(CheckpointError, match=r'provided by layerkit-nine 4\.2 .* pip install "layerkit-nine==4\.2"'):
        load(forge(architecture=text))


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
def test_a_huge_file_is_refused_at_once(tmp_path, saved, size):
    path = tmp_path / "huge"
    path.write_bytes(saved.read_bytes())
    os.truncate(path, size)  # a hole, which takes no space
    tracemalloc.start()
    start = time.process_time()
    with pytest.raises(CheckpointError, match="huge"):
        load(path)
    assert time.process_time() - start < 1
    assert tracemalloc.get_traced_memory()[1] < 2**25
    tracemalloc.stop()


# Forgeries: a checksum keeps nobody from writing whatever they like


def retyped(name: str, dtype: torch.dtype) -> Callable[[dict[str, torch.Tensor]], None]:
    def change(tensors: dict[str, torch.Tensor]) -> None:
        tensors[name] = tensors[name].to(dtype)

    return change


def all_retyped(dtype: torch.dtype) -> Callable[[dict[str, torch.Tensor]], None]:
    def change(tensors: dict[str, torch.Tensor]) -> None:
        tensors.update({name: t.to(dtype) for name, t in tensors.items() if t.is_floating_point()})

    return change


WEIGHT = "network.0.weight"
STATISTICS = "network.1.layers.0.running_mean"
GENERATOR = "network.1.layers.2.generator"

FORGERIES: list[tuple[Callable[[dict[str, torch.Tensor]], Any], str]] = [
    (lambda t: t.pop("network.0.bias"), r"do not fit Sequential: 0\.bias is missing"),
    (lambda t: t.pop(GENERATOR), r"1\.layers\.2\.generator is missing"),
    (lambda t: t.update({"network.9.weight": torch.zeros(1)}), r"9\.weight is unknown"),
    (lambda t: t.update({WEIGHT: torch.zeros(2, 3, 3, 4)}), r"0\.weight must be \(2, 3, 3, 3\), not \(2, 3, 3, 4\)"),
    (lambda t: t.update({WEIGHT: torch.zeros(54)}), r"0\.weight must be \(2, 3, 3, 3\), not \(54,\)"),
    (lambda t: t[WEIGHT].fill_(torch.nan), r"the weights 0\.weight are not finite; use an older checkpoint"),
    (lambda t: t[WEIGHT].fill_(-torch.inf), "are not finite"),
    (lambda t: t[STATISTICS].fill_(torch.nan), r"1\.layers\.0\.running_mean are not finite"),
    (retyped(WEIGHT, torch.float64), "must be all float32 or all float64, not float32, float64"),
    (retyped(WEIGHT, torch.int64), r"0\.weight must be torch\.float32, not torch\.int64"),
    (retyped(WEIGHT, torch.bool), r"0\.weight must be torch\.float32, not torch\.bool"),
    (retyped(WEIGHT, torch.complex64), r"0\.weight must be torch\.float32, not torch\.complex64"),
    (all_retyped(torch.float16), "must be all float32 or all float64, not float16"),
    (all_retyped(torch.bfloat16), "not bfloat16"),
    (retyped(GENERATOR, torch.int16), r"generator must be torch\.uint8, not torch\.int16"),
    (lambda t: t[GENERATOR].zero_(), r"1\.layers\.2\.generator is not the state of a random generator"),
    (lambda t: t.update({GENERATOR: t[GENERATOR][:-8].clone()}), r"generator must be \(5056,\), not \(5048,\)"),
    (lambda t: t.update({"optimizer.x": torch.zeros(2**22)}), "far more numbers than its network and an optimizer"),
    (lambda t: t.update({"other": torch.zeros(2**22)}), "far more numbers than its network and an optimizer"),
    (lambda t: [t.pop(name) for name in list(t) if name.startswith("network")], "parameters, and the file 0 numbers"),
]


@pytest.mark.parametrize(("change", "message"), FORGERIES)
def test_weights_that_do_not_fit(forge, change, message):
    with pytest.raises(CheckpointError, match=f"forged.safetensors.*{message}"):
        load(forge(change))


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"layerkit": None}, "its description cannot be read"),
        ({"architecture": None}, "its description cannot be read"),
        ({"layerkit": "{"}, "its description cannot be read"),
        ({"layerkit": "[" * 10_000}, "its description cannot be read"),
        ({"layerkit": '{"format": 1}'}, "its description cannot be read"),
        ({"layerkit": '{"format": 1, "position": 3}'}, "its description cannot be read"),
        ({"layerkit": '{"format": 2, "position": {}}'}, "has format 2; this layerkit reads format 1"),
        ({"layerkit": '{"format": "\\u001b[31m", "position": {}}'}, r'has format "\\u001b\[31m"; this'),
        ({"architecture": "{}"}, "missing"),
        ({"architecture": '{"format": 1, "format": 1}'}, "stands twice"),
        ({"architecture": "[" * 100}, "levels"),
        ({"architecture": "\ufeff{}"}, "not JSON"),
        ({"architecture": " " * 1_000_001}, "too long"),
        ({"architecture": '{"format": NaN}'}, "NaN is not a number"),
    ],
)
def test_texts_that_say_something_else(forge, metadata, message):
    with pytest.raises(CheckpointError, match=message):
        load(forge(**metadata))


def test_two_checksums(tmp_path, saved):
    data = saved.read_bytes()
    length = int.from_bytes(data[:8], "little")
    more = b'{"sha256":"' + b"0" * 64 + b'","__metadata__":{'
    header = data[8 : 8 + length].replace(b'{"__metadata__":{', more)
    (tmp_path / "two").write_bytes(signed(struct.pack("<Q", len(header)) + header + data[8 + length :]))
    with pytest.raises(CheckpointError, match="two is not a checkpoint of layerkit, or its beginning is damaged"):
        load(tmp_path / "two")


def test_texts_that_look_like_a_checksum(tmp_path, tiny):
    text = '"sha256":"' + "0" * 64 + '"'
    architecture = load_architecture(json.dumps(tiny.tree() | {"name": "0" * 64, "description": text}))
    save(tmp_path / "file", build(architecture), architecture)
    assert load(tmp_path / "file").architecture.description == text


def test_an_architecture_larger_than_the_file_is_not_built(saved, forge):
    with safetensors.safe_open(saved, framework="pt") as content:
        text = content.metadata()["architecture"]
    huge = json.loads(text)
    huge["layers"].insert(0, {"type": "conv2d", "out_channels": 65536, "kernel_size": 3, "padding": 1})
    tracemalloc.start()
    with pytest.raises(CheckpointError, match=r"the network has .* parameters, and the file .* numbers for it"):
        load(forge(architecture=json.dumps(huge)))
    assert tracemalloc.get_traced_memory()[1] < 2**23
    tracemalloc.stop()


def headers_that_lie(data: bytes) -> list[bytes]:
    """Return the file with tensors that overlap, leave gaps, reach beyond the end, or have other sizes."""
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    lies = []
    for change in (
        {"data_offsets": [0, 2**40]},
        {"data_offsets": [-1, 8]},
        {"data_offsets": [8, 0]},
        {"data_offsets": [0, 4]},
        {"shape": [2**62, 4]},
        {"shape": [2**64, 2**64]},
        {"shape": [-1]},
        {"shape": [1e3]},
        {"dtype": "F128"},
        {"dtype": "O"},
    ):
        changed = header | {WEIGHT: header[WEIGHT] | change}
        text = json.dumps(changed, separators=(",", ":")).encode()
        lies.append(signed(struct.pack("<Q", len(text)) + text + data[8 + length :]))
    return lies


def test_headers_that_lie_are_refused(tmp_path, saved):
    for data in headers_that_lie(saved.read_bytes()):
        (tmp_path / "lie").write_bytes(data)
        with pytest.raises(CheckpointError, match="lie is damaged or was cut short: "):
            load(tmp_path / "lie")


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
