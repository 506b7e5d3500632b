"""What the README shows is true: its network is valid, its plugin passes the battery, its Python runs.

Each fenced block of it is run by one of these tests, and the commands of the section on noisy shots by another.
"""

from __future__ import annotations

import re
import shlex
import sys
import tomllib
from pathlib import Path

import pytest
import torch
from skimage import data

import layerkit
from layerkit import cli
from layerkit.data.pictures import Picture, write_picture

README = Path(__file__).parents[1] / "README.md"


BLOCKS = re.findall(r"```(\w*)\n(.*?)```", README.read_text(), re.DOTALL)
NETWORK, PLUGIN, ENTRY_POINT, CONFORMANCE, THREE_LINES, PYTHON, PRINTED = (text for _, text in BLOCKS)


def test_these_are_all_blocks():
    assert [language for language, _ in BLOCKS] == ["json", "python", "toml", "python", "python", "python", ""]


def test_the_network_is_valid():
    architecture = layerkit.load_architecture(NETWORK)
    assert layerkit.build(architecture)(torch.rand(1, 3, 32, 32)).shape == (1, 3, 32, 32)


@pytest.fixture
def installed_plugin(tmp_path, monkeypatch):
    """The plugin of the README, installed as its own lines of pyproject.toml say."""
    (group, entries), *_ = tomllib.loads(ENTRY_POINT)["project"]["entry-points"].items()
    lines = [f"[{group}]", *(f"{name} = {module}" for name, module in entries.items())]
    distribution = tmp_path / "layerkit_mine-1.0.dist-info"
    distribution.mkdir()
    (distribution / "METADATA").write_text("Metadata-Version: 2.1\nName: layerkit-mine\nVersion: 1.0\n")
    (distribution / "entry_points.txt").write_text("\n".join(lines))
    (tmp_path / "layerkit_mine.py").write_text(PLUGIN)
    monkeypatch.syspath_prepend(tmp_path)
    # Other settings than everybody else's, and so a catalogue that is made now.
    monkeypatch.setenv("LAYERKIT_WITHOUT", "nothing-that-is-installed")
    yield
    sys.modules.pop("layerkit_mine", None)


def test_the_plugin_is_proven_by_the_test_that_is_shown(installed_plugin):
    namespace = {}
    exec(CONFORMANCE, namespace)
    test = namespace["test_conformance"]
    (mark,) = test.pytestmark
    checks = mark.args[1]
    assert [str(check) for check in checks] == [f"scale-{check.name}" for check in layerkit.testing.checks_for("layer")]
    skipped = 0
    for check in checks:
        try:
            test(check)
        except pytest.skip.Exception:
            skipped += 1
    assert skipped < len(checks) / 2


def test_the_three_lines_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    noisy, again = torch.randint(256, (2, 4, 3, 32, 32), dtype=torch.uint8)
    namespace = {"noisy": noisy, "noisy_again": again}
    exec(THREE_LINES, namespace)
    assert namespace["clean"].shape == noisy.shape
    assert not torch.equal(namespace["clean"], noisy)
    assert (tmp_path / "runs" / "strong" / "checkpoint.safetensors").exists()


def test_the_python_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "architectures").symlink_to(README.parent / "architectures")
    noisy = torch.rand(4, 3, 32, 32)
    namespace = {"noisy": noisy, "target": torch.rand(4, 3, 32, 32), "images": torch.rand(2, 3, 13, 10) * 255}
    namespace["photograph"] = torch.randint(256, (40, 50, 3), dtype=torch.uint8).numpy()
    exec(PYTHON, namespace)
    assert (namespace["restored"].shape, namespace["restored"].dtype) == ((40, 50, 3), "uint8")
    assert namespace["loss"] == pytest.approx(1 / 12, rel=0.2)  # answers near 1/2, targets uniform
    assert namespace["clean"].shape == (2, 3, 13, 10)
    shown = PRINTED.splitlines()
    assert shown == [*str(namespace["network"]).splitlines()[: len(shown) - 1], "  ..."]


def test_mistakes_in_its_network_are_answered_as_shown(tmp_path, monkeypatch, capsys):
    from layerkit.cli import run

    monkeypatch.chdir(tmp_path)
    (text,) = (text for language, text in BLOCKS if language == "json" and '"layers"' in text)
    text = text.replace('"conv2d"', '"con2d"').replace('"kernel_size": 3', '"kernel_size": "3"')
    (tmp_path / "net.json").write_text(text)
    assert run(["validate", "net.json"]) == 2
    shown = re.findall(r"(?:^    net\.json.*\n)(?:^    .*\n)*", README.read_text(), re.MULTILINE)
    assert " ".join(shown[0].split()) == " ".join(capsys.readouterr().err.split())


def test_the_commands_exist():
    from layerkit.cli import COMMANDS

    named = set(re.findall(r"^    layerkit ([a-z-]+) ", README.read_text(), re.MULTILINE))
    assert named
    assert named <= set(COMMANDS)


def without_numbers(text: str) -> str:
    """Return a text on one line, with # for every number."""
    return re.sub(r"[+-]?\d+(?:[.,]\d+)*", "#", " ".join(text.split()))


def test_the_way_of_noisy_shots_prints_what_is_shown(tmp_path, monkeypatch, capsys, no_classical_methods):
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
