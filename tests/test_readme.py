"""What the README shows is true: its network is valid, its plugin passes the battery, its Python runs."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest
import torch

import layerkit
from layerkit.testing import run

README = Path(__file__).parents[1] / "README.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README.read_text(), re.DOTALL)


def test_the_network_is_valid():
    (text,) = blocks("json")
    architecture = layerkit.load_architecture(text)
    assert layerkit.build(architecture)(torch.rand(1, 3, 32, 32)).shape == (1, 3, 32, 32)


def test_the_plugin_is_proven(tmp_path, monkeypatch):
    plugin = next(block for block in blocks("python") if "class ScaleSpec" in block)
    (tmp_path / "layerkit_mine.py").write_text(plugin)
    monkeypatch.syspath_prepend(tmp_path)
    module = importlib.import_module("layerkit_mine")
    assert module.layerkit_layers() == [module.ScaleSpec]
    report = run(module.ScaleSpec, profile="quick")
    assert not report.failures, report.explain()


def test_the_python_runs(tmp_path, monkeypatch):
    program = next(block for block in blocks("python") if "load_architecture" in block)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "architectures").symlink_to(README.parent / "architectures")
    noisy = torch.rand(4, 3, 32, 32)
    namespace = {"noisy": noisy, "target": torch.rand(4, 3, 32, 32), "images": torch.rand(2, 3, 13, 10) * 255}
    exec(program, namespace)
    assert namespace["loss"] == pytest.approx(1 / 12, rel=0.2)  # answers near 1/2, targets uniform
    assert namespace["clean"].shape == (2, 3, 13, 10)


def test_the_commands_exist():
    from layerkit.cli import COMMANDS

    named = set(re.findall(r"^    layerkit ([a-z-]+) ", README.read_text(), re.MULTILINE))
    assert named
    assert named <= set(COMMANDS)
