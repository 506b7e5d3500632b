"""What the README shows is true: its network is valid, its plugin passes the battery, its Python runs."""

from __future__ import annotations

import importlib
import re
import shlex
from pathlib import Path

import pytest
import torch
from skimage import data

import layerkit
from layerkit import cli
from layerkit.data.pictures import Picture, write_picture
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


def without_numbers(text: str) -> str:
    """Return a text on one line, with # for every number."""
    return re.sub(r"[+-]?\d+(?:[.,]\d+)*", "#", " ".join(text.split()))


def test_the_way_of_noisy_shots_prints_what_is_shown(tmp_path, monkeypatch, capsys):
    section = README.read_text().split("## Denoising your own pictures\n")[1].split("\n## ")[0]
    names, *shown = re.findall(r"(?:^    .*\n)+", section, re.MULTILINE)
    monkeypatch.chdir(tmp_path)
    generator = torch.Generator().manual_seed(0)
    files = re.findall(r"my-shots/(\w+)_([12])\.(\w+)", names)
    assert len(files) == 4
    files += [(scene, number, "png") for scene in ("cup", "cat", "flower", "door") for number in "12"]
    photograph = torch.from_numpy(data.coffee()).permute(2, 0, 1).float()
    for index, (scene, number, suffix) in enumerate(files):
        clean = photograph[:, 100:180, 40 * (index // 2) :][:, :, :90]
        noisy = clean + 20 * torch.randn(clean.shape, generator=generator)
        write_picture(f"my-shots/{scene}_{number}.{suffix}", Picture(noisy.round().clamp(0, 255).byte()))
    said, commands = "", 0
    for block in shown:
        if not block.startswith("    layerkit "):
            expected = without_numbers(block.replace("/home/me", str(tmp_path)))
            assert expected in without_numbers(said)
            continue
        for line in block.splitlines():
            more = ["--samples", "32", "--epochs", "1"] if line.startswith("    layerkit train") else []
            assert cli.run([*shlex.split(line)[1:], *more]) == 0
            said += capsys.readouterr().out
            commands += 1
    assert commands == 3
