from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from layerkit.builtin.layers.sigmoid import Sigmoid
from layerkit.cli import run
from layerkit.errors import UserError
from layerkit.explaining.layer import explained, formula_of
from layerkit.explaining.page import page
from layerkit.explaining.text import lines, number
from layerkit.explaining.walk import walk
from layerkit.spec.architecture import Architecture
from layerkit.spec.loading import load_architecture

CONVOLUTION = {"type": "conv2d", "out_channels": 2, "kernel_size": 2, "stride": 2}
LAYERS: list[dict[str, Any]] = [
    CONVOLUTION,
    {"type": "relu"},
    {"type": "batch_norm2d"},
    {"type": "dropout", "p": 0.5},
    {"type": "residual", "layers": [{"type": "conv2d", "out_channels": 2, "kernel_size": 1}, {"type": "sigmoid"}]},
    {"type": "upsampling", "out_channels": 1},
]


def architecture(layers: list[dict[str, Any]], channels: int = 1) -> Architecture:
    tree = {"format": 1, "name": "tiny", "input": {"channels": channels, "height": 8, "width": 8}, "layers": layers}
    return load_architecture(json.dumps(tree))


def test_every_gradient_stands_beside_its_finite_difference() -> None:
    walked = walk(architecture(LAYERS), size=6)
    layers = [explained(passed) for passed in walked.layers]
    assert [layer.passed.place for layer in layers] == [
        *(f"layers[{index}]" for index in range(4)),
        "layers[4].layers[0]",
        "layers[4].layers[1]",
        "layers[5]",
    ]
    assert all(checked.rows and checked.farthest < 1e-7 for layer in layers for checked in layer.checked)
    assert [checked.name for checked in layers[0].checked] == ["x", "weight", "bias"]


def test_the_sums_come_to_what_they_say() -> None:
    for passed in walk(architecture(LAYERS), size=6).layers:
        layer = explained(passed)
        assert layer.backward is not None
        for written in (layer.forward, layer.backward):
            if written.of is None and not written.slopes:
                total = written.rest + sum(term.factor * term.value for term in written.terms)
                assert total == pytest.approx(written.total, abs=1e-7)
    convolution, relu = walk(architecture(LAYERS), size=6).layers[:2]
    assert len(explained(convolution).forward.terms) == 4
    assert explained(relu).forward.of is not None


def test_a_wrong_backward_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    def backward(self: Sigmoid, grad_output: Tensor) -> Tensor:
        return grad_output / 4

    monkeypatch.setattr(Sigmoid, "backward", backward)
    (passed,) = walk(architecture([{"type": "sigmoid"}])).layers
    (checked,) = explained(passed).checked
    assert checked.farthest > 1e-4


def test_the_numbers_can_be_followed_on_paper() -> None:
    walked = walk(architecture([CONVOLUTION]))
    (passed,) = walked.layers
    assert walked.input_shape == (1, 3, 3)
    for tensor, steps in ((passed.x, 10), (walked.target, 10), (passed.module.named_param()["weight"][0], 100)):
        torch.testing.assert_close(tensor * steps, (tensor * steps).round())
    assert torch.equal(walk(architecture([CONVOLUTION]), seed=1).layers[0].x, passed.x) is False


def test_a_size_that_does_not_fit_is_told() -> None:
    with pytest.raises(UserError, match="takes no pictures of 1 x 1 pixels"):
        walk(architecture([CONVOLUTION]), size=1)
    flat = architecture([{"type": "flatten"}, {"type": "linear", "out_features": 2}])
    assert walk(flat).input_shape == (1, 3, 3)


def test_formulas_are_those_of_the_files() -> None:
    (passed,) = walk(architecture([{"type": "sigmoid"}])).layers
    assert formula_of(passed.module).splitlines()[0].startswith("Forward, equation (7)")
    assert "grad_x = y (1 - y) grad_output" in formula_of(passed.module)


def test_numbers() -> None:
    assert [number(value) for value in (0.123456, -0.5, -0.0, 12345.678)] == ["0.1235", "\u22120.5", "0", "1.235e+04"]


class Tags(HTMLParser):
    """Counts what is open, and sees that all is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag not in ("meta",):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_whole_and_loads_nothing() -> None:
    walked = walk(architecture(LAYERS), size=6)
    text = page("<b>tiny</b>", walked, [explained(passed) for passed in walked.layers])
    tags = Tags()
    tags.feed(text)
    assert not tags.open
    assert "&lt;b&gt;tiny" in text and text.count("<math>") == 14
    assert not re.search(r"https?:|src=|@import", text)


def test_text_and_page_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "net.json"
    file.write_text(architecture([CONVOLUTION, {"type": "relu"}]).to_json())
    assert run(["explain", str(file), "--layer", "layers[1]"]) == 0
    printed = capsys.readouterr().out
    walked = walk(load_architecture(file))
    assert printed.splitlines() == "\n".join(lines(walked, [explained(walked.layers[1])])).splitlines()
    assert "relu: 2x1x1 -> 2x1x1" in printed and "f(x[1, 0, 0])" in printed
    assert run(["explain", str(file), "--html", str(tmp_path / "net.html")]) == 0
    assert (tmp_path / "net.html").read_text().startswith("<!DOCTYPE html>")
    assert run(["explain", str(file), "--layer", "layers[7]"]) == 2
    assert "there is no layer layers[7]; there are layers[0], layers[1]" in capsys.readouterr().err
