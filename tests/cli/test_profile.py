from __future__ import annotations

import json
from functools import partial
from itertools import count
from types import SimpleNamespace

import pytest

from layerkit.cli import run
from layerkit.training import profiling


@pytest.fixture(autouse=True)
def ticks(monkeypatch):
    """Let the clock go on by a second whenever it is looked at, and never else."""
    monkeypatch.setattr(profiling, "time", SimpleNamespace(perf_counter=partial(next, count())))
    monkeypatch.setenv("COLUMNS", "120")


def test_every_layer_has_its_times(table1, capsys):
    assert run(["profile", table1, "--batch-size", "2", "--threads", "1", "--seconds", "0.1", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["batch_size"] == 2 and shown["threads"] == 1
    assert [layer["path"] for layer in shown["layers"]] == [f"layers[{index}]" for index in range(8)]
    assert sum(layer["multiply_adds"] for layer in shown["layers"]) == 2 * 6_307_840
    assert all(layer["forward_seconds"] == layer["backward_seconds"] == 1 for layer in shown["layers"])
    # The clock is looked at before and after each layer, forwards and backwards, and after the step.
    assert shown["step_seconds"] == 8 * 4 + 1
    assert [layer["share_of_step"] for layer in shown["layers"]] == [pytest.approx(2 / 33)] * 8
    # The first layer makes no input gradient: two products in place of three.
    first, second = (shown["layers"][index] for index in (0, 2))
    per_multiply_add = [layer["products_seconds"] / layer["multiply_adds"] for layer in (first, second)]
    assert per_multiply_add[0] / per_multiply_add[1] == pytest.approx(2 / 3)


def test_containers_stand_before_their_content(unet, capsys):
    assert run(["profile", unet, "--batch-size", "1", "--threads", "1", "--seconds", "0.1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("  residual ") for line in lines)
    assert any(line.startswith("        max_pool2d ") for line in lines)
    assert any("GFLOP/s" in line for line in lines)


def test_it_says_when_the_sums_are_not_compiled(table1, capsys, monkeypatch):
    arguments = ["profile", table1, "--batch-size", "1", "--threads", "1", "--seconds", "0.1"]
    monkeypatch.setattr("layerkit.arithmetic.backends.fused.SWITCHED_OFF", True)
    assert run(arguments) == 0
    assert "without the compiled sums, which" in capsys.readouterr().out
    assert run([*arguments, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["compiled_sums"] is False


def test_copies_of_a_layer_are_counted_together(tmp_path, capsys):
    layer = {"type": "conv2d", "out_channels": 4, "kernel_size": 1}
    spec = {
        "format": 1,
        "name": "four",
        "input": {"channels": 4, "height": 8, "width": 8},
        "layers": [{"type": "repeat", "times": 4, "layers": [layer]}],
    }
    path = tmp_path / "four.json"
    path.write_text(json.dumps(spec))
    assert run(["profile", str(path), "--batch-size", "3", "--threads", "1", "--seconds", "0.1", "--json"]) == 0
    container, content = json.loads(capsys.readouterr().out)["layers"]
    assert container["multiply_adds"] == content["multiply_adds"] == 3 * 4_096
    assert container["container"] and not content["container"]
