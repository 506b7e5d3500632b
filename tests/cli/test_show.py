from __future__ import annotations

import json

import pytest

from layerkit.cli import run


@pytest.fixture(autouse=True)
def wide(monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")


def test_prints_the_report_s_table(table1, capsys):
    assert run(["show", table1]) == 0
    rows = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "input 3x32x32" in rows
    assert "conv2d kernel_size=2, stride=2 44x16x16 572 135,168 44.0 KiB" in rows
    assert "upsampling kernel_size=3, scale_factor=2, padding=1 44x16x16 17,468 4,460,544 44.0 KiB" in rows
    assert "total 27,019 6,307,840 222.0 KiB" in rows


def test_values_of_the_spec_can_be_replaced(table1, capsys):
    assert run(["show", table1, "--set", "layers[0].out_channels=8"]) == 0
    assert "8x16x16" in capsys.readouterr().out


def test_json_has_the_same_numbers(table1, capsys):
    assert run(["show", table1, "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["input_shape"] == [3, 32, 32]
    assert [layer["path"] for layer in shown["layers"]] == [f"layers[{index}]" for index in range(8)]
    assert sum(layer["parameters"] for layer in shown["layers"]) == 27_019


def test_layers_inside_containers_are_set_in(unet, capsys):
    assert run(["show", unet]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("  residual ") for line in lines)
    assert any(line.startswith("    skip ") for line in lines)
    assert any(line.startswith("        max_pool2d ") for line in lines)


def test_repeated_layers_are_shown_once_and_counted_as_often_as_they_are(tmp_path, capsys):
    layer = {"type": "conv2d", "out_channels": 4, "kernel_size": 1}
    spec = {
        "format": 1,
        "name": "four",
        "input": {"channels": 4, "height": 8, "width": 8},
        "layers": [{"type": "repeat", "times": 4, "layers": [layer]}],
    }
    path = tmp_path / "four.json"
    path.write_text(json.dumps(spec))
    assert run(["show", str(path)]) == 0
    printed = capsys.readouterr().out
    assert printed.count("conv2d") == 1
    assert ["total", "80", "4,096", "4.0", "KiB"] in [line.split() for line in printed.splitlines()]


def test_draws_a_diagram(unet, tmp_path, capsys):
    picture = tmp_path / "unet.svg"
    assert run(["show", unet, "--diagram", str(picture)]) == 0
    assert "<svg" in picture.read_text()[:1000]
    assert run(["show", unet, "--diagram", str(tmp_path / "unet.txt")]) == 2
    assert "a diagram is written as .svg, .png or .pdf" in capsys.readouterr().err


def test_the_diagram_says_what_the_table_says(table1, tmp_path):
    picture = tmp_path / "table1.svg"
    assert run(["show", table1, "--diagram", str(picture)]) == 0
    assert "<!-- kernel_size=3, scale_factor=2, padding=1 -->" in picture.read_text()


def test_a_missing_file_is_a_sentence(capsys):
    assert run(["show", "nowhere.json"]) == 2
    assert capsys.readouterr().err == "error: nowhere.json: cannot be read: there is no such file\n"
