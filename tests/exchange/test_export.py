from __future__ import annotations

import ast
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from layerkit.checkpoints.checkpoint import load, save
from layerkit.cli import run
from layerkit.errors import RunError, UserError
from layerkit.exchange import export as exporting
from layerkit.exchange import onnx_file
from layerkit.exchange.export import FORMATS, export
from layerkit.exchange.twins import learned
from layerkit.exchange.weights import assign, read_state
from layerkit.spec.architecture import build
from layerkit.spec.loading import load_architecture

ARCHITECTURES = Path(__file__).parents[2] / "architectures"
INSIDE: list[dict[str, Any]] = [
    {"type": "conv2d", "out_channels": 5, "kernel_size": 3, "padding": 1},
    {"type": "batch_norm2d"},
    {"type": "prelu"},
    {"type": "conv2d", "out_channels": 4, "kernel_size": 3, "padding": 1, "bias": False},
]
EVERYTHING: list[dict[str, Any]] = [
    {"type": "skip", "layers": [{"type": "repeat", "times": 2, "layers": [{"type": "residual", "layers": INSIDE}]}]},
    {"type": "max_pool2d", "kernel_size": 2},
    {"type": "dropout", "p": 0.5},
    {"type": "upsampling", "out_channels": 8, "scale_factor": 2},
    {"type": "pixel_shuffle", "upscale_factor": 2},
    {"type": "avg_pool2d", "kernel_size": 2},
    {"type": "conv2d", "out_channels": 4, "kernel_size": 1},
    {"type": "sigmoid"},
]


def written(folder: Path, tree: dict[str, Any], name: str = "network.safetensors") -> Path:
    """Return a checkpoint of a network whose weights, and statistics, are no initial ones."""
    architecture = load_architecture(json.dumps(tree))
    network = build(architecture, seed=1)
    generator = torch.Generator().manual_seed(2)
    for key, tensor in network.state_dict().items():
        if tensor.is_floating_point():
            tensor.mul_(0.9 + 0.2 * torch.rand(tensor.shape, generator=generator)).add_(0.1 * ("running" in key))
    save(folder / name, network, architecture)
    return folder / name


def of_layers(layers: list[dict[str, Any]], height: int = 16) -> dict[str, Any]:
    shape = {"channels": 4, "height": height, "width": height}
    return {"format": 1, "name": "tried", "input": shape, "layers": layers}


@pytest.mark.parametrize("name", ["table1", "unet", "pretrained"])
def test_shipped_networks_become_modules_of_torch_that_compute_the_same(tmp_path: Path, name: str) -> None:
    tree = json.loads((ARCHITECTURES / f"{name}.json").read_text())
    done = export(written(tmp_path, tree), "torch", tmp_path / "exported")
    assert done.files == ["network.py", "network.safetensors"]
    assert len(done.shapes) == 3 and done.difference < 1e-5


def test_every_kind_of_layer_travels(tmp_path: Path) -> None:
    done = export(written(tmp_path, of_layers(EVERYTHING)), "torch", tmp_path / "exported")
    assert done.difference < 1e-5


def test_the_file_is_python_that_needs_torch_alone(
    tmp_path: Path, python: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    tree = of_layers(EVERYTHING) | {"name": '"""; raise SystemExit', "description": '"""\nraise SystemExit'}
    folder = export(written(tmp_path, tree), "torch", tmp_path / "exported").folder
    text = (folder / "network.py").read_text()
    assert "SystemExit" not in text
    imported = {name.name for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Import) for name in node.names}
    assert imported == {"torch"} and "layerkit." not in text
    script = "import network, torch; print(tuple(network.load()(torch.rand(1, 4, 6, 10)).shape))"
    done = python("-c", script, cwd=folder, check=True)
    assert done.stdout == "(1, 4, 6, 10)\n"


def test_a_shipped_network_runs_in_onnxruntime_on_any_size(tmp_path: Path) -> None:
    tree = json.loads((ARCHITECTURES / "unet.json").read_text())
    done = export(written(tmp_path, tree), "onnx", tmp_path / "exported")
    assert done.files == ["network.onnx"]
    assert len(done.shapes) == 3 and done.difference < 1e-5


def test_a_network_of_fixed_size_travels(tmp_path: Path) -> None:
    flat = [{"type": "flatten"}, {"type": "linear", "out_features": 3}]
    done = export(written(tmp_path, of_layers(flat, 4)), "onnx", tmp_path / "exported")
    assert done.shapes == [(4, 4, 4)]


def test_a_folder_for_a_hub_is_a_checkpoint_with_a_card(tmp_path: Path) -> None:
    tree = of_layers(INSIDE) | {"description": "# One\nline"}
    path = written(tmp_path, tree, "checkpoint.safetensors")
    record = {"event": "epoch", "epoch": 1, "noisy": {"psnr_mean": 20.0}, "denoised": {"psnr_mean": 23.456}}
    (tmp_path / "metrics.jsonl").write_text(json.dumps(record) + "\n")
    done = export(path, "safetensors-hub", tmp_path / "exported")
    assert done.files == ["README.md", "config.json", "model.safetensors"] and done.difference == 0
    card = (done.folder / "README.md").read_text()
    assert "\nOne line\n" in card and "20.00 dB before, 23.46 dB after" in card
    assert load_architecture(done.folder / "config.json") == load(done.folder / "model.safetensors").architecture


@pytest.mark.parametrize("to", FORMATS)
def test_what_is_there_is_kept_unless_it_may_be_replaced(tmp_path: Path, to: exporting.Format) -> None:
    path = written(tmp_path, of_layers([{"type": "relu"}]))
    (tmp_path / "exported").mkdir()
    (tmp_path / "exported" / "mine.txt").write_text("mine")
    with pytest.raises(UserError, match="is there already; choose another with --output"):
        export(path, to, tmp_path / "exported")
    assert (tmp_path / "exported" / "mine.txt").read_text() == "mine"
    done = export(path, to, tmp_path / "exported", overwrite=True)
    assert "mine.txt" not in done.files
    assert sorted(path.name for path in tmp_path.iterdir()) == ["exported", "network.safetensors"]


def test_a_layer_that_is_nothing_in_torch_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from layerkit.builtin.layers.relu import ReLUSpec

    path = written(tmp_path, of_layers([{"type": "residual", "layers": [{"type": "relu"}]}]))
    monkeypatch.setattr(ReLUSpec, "reference", lambda self, shape: None)
    with pytest.raises(
        UserError, match=r'layers\[0\]\.layers\[0\]: the layer "relu" does not say what it is in torch.nn'
    ):
        export(path, "torch", tmp_path / "exported")
    assert not (tmp_path / "exported").exists()


def test_an_export_that_computes_something_else_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from layerkit.builtin.layers.relu import ReLUSpec

    path = written(tmp_path, of_layers([{"type": "conv2d", "out_channels": 4, "kernel_size": 1}, {"type": "relu"}]))
    monkeypatch.setattr(ReLUSpec, "reference", lambda self, shape: ("Sigmoid", {}))
    with pytest.raises(RunError, match="does not compute what the network does: answers differ by"):
        export(path, "torch", tmp_path / "exported")
    assert [path.name for path in tmp_path.iterdir()] == ["network.safetensors"]


def test_a_missing_package_is_told_with_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_file, "NEEDED", ("onnx", "layerkit_has_no_such"))
    with pytest.raises(UserError, match=r"ONNX files need layerkit_has_no_such: pip install 'layerkit\[export\]'"):
        export(written(tmp_path, of_layers([{"type": "relu"}])), "onnx", tmp_path / "exported")


def test_a_folder_that_cannot_be_replaced_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, folder = written(tmp_path, of_layers([{"type": "relu"}])), tmp_path / "exported"
    folder.mkdir()
    (folder / "mine.txt").write_text("mine")
    replace = os.replace

    def full(source: Path, target: Path) -> None:
        if target == folder and source.name.startswith(".exported-") and not source.name.endswith("-old"):
            raise OSError("no room")
        replace(source, target)

    monkeypatch.setattr("layerkit.exchange.export.os.replace", full)
    with pytest.raises(RunError, match="cannot be written: no room"):
        export(path, "torch", folder, overwrite=True)
    assert (folder / "mine.txt").read_text() == "mine"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["exported", "network.safetensors"]


def test_plugins_that_are_left_out_are_not_used(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path, of_layers([{"type": "tanh"}]))
    arguments = ["export", str(path), "--to", "torch", "--output", str(tmp_path / "exported")]
    assert run(["--no-plugins", *arguments]) == 2
    assert "tanh" in capsys.readouterr().err
    assert run(arguments) == 0


def test_weights_of_an_export_come_back(tmp_path: Path) -> None:
    path = written(tmp_path, of_layers(EVERYTHING))
    folder = export(path, "torch", tmp_path / "exported").folder
    original = load(path)
    network = build(original.architecture, seed=9)
    imported = assign(network, read_state(folder / "network.safetensors"))
    assert next(iter(imported.names.values())) == "0.0.0.0.weight"
    assert all(name.endswith("num_batches_tracked") for name in imported.ignored) and len(imported.ignored) == 2
    for name, tensor in learned(original.network.state_dict()).items():
        assert torch.equal(network.state_dict()[name], tensor)
    assert set(imported.names.values()) < set(safetensors.torch.load_file(folder / "network.safetensors"))
