"""Checkpoints that somebody has forged: a checksum keeps nobody from writing whatever they like."""

from __future__ import annotations

import json
import re
import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from layerkit.checkpoints.checkpoint import load, save, signed
from layerkit.errors import CheckpointError
from layerkit.spec.architecture import build
from layerkit.spec.loading import load_architecture

Forge = Callable[..., Path]


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


def test_a_missing_plugin_is_named(saved, forge):
    with safetensors.safe_open(saved, framework="pt") as content:
        text = content.metadata()["architecture"]
    text = re.sub('layerkit-normalization==[^"]*', "layerkit-nine==4.2", text.replace("batch_norm2d", "batch_norm_9d"))
    with pytest.raises(CheckpointError, match=r'provided by layerkit-nine 4\.2 .* pip install "layerkit-nine==4\.2"'):
        load(forge(architecture=text))


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
    (lambda t: [t.pop(name) for name in list(t) if name.startswith("network")], "but the file holds only 0 numbers"),
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
        ({"layerkit": '{"format": 1, "position": {}, "noise": 3}'}, "its description cannot be read"),
        ({"layerkit": '{"format": 1, "position": {}, "noise": [3]}'}, "its description cannot be read"),
        ({"layerkit": '{"format": 1, "position": {}, "noise": [3, 2]}'}, "its description cannot be read"),
        ({"layerkit": '{"format": 1, "position": {}, "noise": ["1", "2"]}'}, "its description cannot be read"),
        (
            {"layerkit": '{"format": 1, "position": {}, "noise": {"low": 1, "high": 2}}'},
            "its description cannot be read",
        ),
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
    with pytest.raises(CheckpointError, match=r"the network has .* parameters, but the file holds only .* numbers"):
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
