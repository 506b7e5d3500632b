"""No file takes much memory before it is refused, the interpreter and all that it has loaded included."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import safetensors

from layerkit.checkpoints.checkpoint import signed

MEGABYTES = 400

RELU: dict[str, Any] = {"type": "relu"}
TEXT = "x" * 400_000
FULL = 330_000
"""So many small values fill the longest text that is read."""


def spec(layers: list[Any], **more: Any) -> dict[str, Any]:
    return {"format": 1, "name": "n", "input": {"channels": 3, "height": 32, "width": 32}, "layers": layers, **more}


def inside(layers: list[Any]) -> list[Any]:
    """Return layers as deep inside others as they may be."""
    for _ in range(13):
        layers = [{"type": "sequential", "layers": layers}]
    return layers


def training(**more: Any) -> dict[str, Any]:
    loss, noise = {"type": "mse"}, {"type": "gaussian", "sigma": 25}
    return {"loss": loss, "optimizer": {"type": "sgd", "lr": 0.1}, "noise": noise, **more}


def names(count: int) -> dict[str, Any]:
    return {f"a{number}": 0 for number in range(count)}


CONVOLUTION = {"type": "conv2d", "out_channels": "$a", "kernel_size": 3}
DESCRIBED = [RELU | {"description": "$a"}] * 5000
SPECS: dict[str, dict[str, Any]] = {
    "a constant as descriptions": spec(DESCRIBED, define={"a": TEXT}),
    "a constant as numbers": spec([CONVOLUTION] * 4000, define={"a": TEXT}),
    "a constant deep inside": spec(inside([CONVOLUTION] * 4000), define={"a": TEXT}),
    "a constant in the training": spec([RELU], define={"a": TEXT}, training=training(x=["$a"] * 5000)),
    "constants just allowed": spec([CONVOLUTION] * 4000, define={"a": "x" * 240}),
    "nulls": spec([None] * (FULL // 2)),
    "lists": spec([[]] * FULL),
    "objects": spec([{}] * FULL),
    "objects just allowed": spec([{}] * 9_999),
    "layers": spec([RELU] * 60_000),
    "layers deep inside": spec(inside([RELU] * 60_000)),
    "layers deep inside, just allowed": spec(inside([RELU] * 9_900)),
    "mistakes deep inside": spec(inside([CONVOLUTION | {"out_channels": 0, "kernel_size": 0}] * 5_600)),
    "names": spec([RELU | names(80_000)]),
    "names just allowed": spec([RELU | names(19_900)]),
    "names deep inside": spec(inside([RELU | names(19_900)])),
    "names of packages": spec([RELU], requires={"layer": dict.fromkeys((f"A{n}" for n in range(19_900)), 1)}),
    "a text deep inside": spec(inside([RELU | {"x": "x" * 990_000}])),
    "texts": spec([RELU | {"x": ["x" * 20] * 39_900}]),
    "steps": spec([RELU], training=training(schedule={"type": "steps", "at": [None] * 39_000})),
    "copies": spec([{"type": "repeat", "times": 1000, "layers": [RELU] * 9}] * 3),
    "copies of copies": spec([{"type": "repeat", "times": 1000, "layers": inside([RELU] * 1000)}]),
    "a terabyte": spec([{"type": "conv2d", "out_channels": 16384, "kernel_size": 3, "padding": 1}] * 1000),
    "a deep text": {"x": json.loads("[" * 31 + "]" * 31)},
}


@pytest.fixture
def commands(tmp_path: Path, saved: Path) -> dict[str, list[str]]:
    """Return command lines by what is hostile about their files; each is refused."""

    def written(name: str, tree: Any) -> str:
        path = tmp_path / f"{name}.json"
        path.write_text(json.dumps(tree, separators=(",", ":")))
        return str(path)

    def experiment(name: str, base: str, **more: Any) -> list[str]:
        tree = {"format": 1, "name": "e", "title": "t", "base": base, "figure": {"type": "table"}, **more}
        return ["experiment", written(name, tree), "--output", str(tmp_path / name)]

    def denoise(architecture: Any, tensors: int = 1) -> list[str]:
        checkpoint = forged(saved, tmp_path, architecture, tensors)
        return ["denoise", checkpoint, str(tmp_path), "--output", str(tmp_path / "denoised")]

    commands = {name: ["validate", written(name, tree)] for name, tree in SPECS.items()}
    constants = spec(DESCRIBED, define={"a": "x"}, training=training())
    named = written("named", constants)
    plain = written("plain", spec([RELU] * 100, training=training()))
    commands |= {
        "a constant through --set": ["show", named, "--set", f"define.a={TEXT}"],
        "layers through --set": ["show", plain, "--set", f"layers={json.dumps([RELU] * 50_000)}"],
        "values through --set": ["show", plain, *("--set", f"training.x={json.dumps([0] * 39_000)}") * 2],
        "texts through --set": [
            *("show", plain),
            *(part for number in range(100) for part in ("--set", f"layers[{number}].x={TEXT}")),
        ],
        "a constant through set": experiment("set", "named.json", set={"define.a": TEXT}),
        "a constant that varies": experiment("vary", "named.json", vary={"define.a": [TEXT, TEXT + "y"]}),
        "layers that vary": experiment(
            "layers", "plain.json", vary={"training.batch_size": [*range(1, 201)], "layers": [[RELU] * 9_900]}
        ),
        "a constant in a checkpoint": denoise(SPECS["a constant as numbers"]),
        "a training in a checkpoint": denoise(SPECS["a constant in the training"]),
        "layers in a checkpoint": denoise(SPECS["layers deep inside"]),
        "tensors in a checkpoint": denoise(spec([RELU]), 250_000),
        "tensors just allowed": denoise(spec([RELU]), 130_000),
    }
    return commands


def forged(saved: Path, folder: Path, architecture: Any, tensors: int) -> str:
    """Return a checkpoint with another architecture and so many empty tensors in it, with a checksum that is right."""
    with safetensors.safe_open(saved, framework="pt") as file:
        texts = file.metadata() | {"architecture": json.dumps(architecture)}
    empty = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}
    content = {"__metadata__": texts} | dict.fromkeys(map(str, range(tensors)), empty)
    header = json.dumps(content, separators=(",", ":")).encode()
    path = folder / f"{len(list(folder.iterdir()))}.safetensors"
    path.write_bytes(signed(len(header).to_bytes(8, "little") + header))
    return str(path)


CHILD = """
import json, os, resource, sys

from layerkit.cli import run
import layerkit.cli.sweeping  # what most commands import, once for all copies

for name, arguments in json.load(sys.stdin).items():
    # A copy of this process begins with the memory of now, whatever was taken before.
    if copy := os.fork():
        os.waitpid(copy, 0)
        continue
    code = run(arguments)
    # In bytes on macOS, in kilobytes elsewhere.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
    print(json.dumps([name, code, peak]), flush=True)
    os._exit(0)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no copies of processes")
def test_the_peak_of_memory_of_each_hostile_file(commands: dict[str, list[str]], tmp_path: Path) -> None:
    child = subprocess.run(
        [sys.executable, "-c", CHILD], input=json.dumps(commands), capture_output=True, text=True, cwd=tmp_path
    )
    lines = [json.loads(line) for line in child.stdout.splitlines() if line.startswith("[")]
    told = "\n".join(f"{peak:5.0f} MB, exit code {code}: {name}" for name, code, peak in lines) + child.stderr[-2000:]
    assert [name for name, _, _ in lines] == list(commands), told
    assert {code for _, code, _ in lines} == {2}, told
    assert max(peak for _, _, peak in lines) < MEGABYTES, told
    assert max(map(len, child.stderr.splitlines())) < 2_000
