from __future__ import annotations

import re

import pytest
from PIL import Image

from layerkit import UserError, load_architecture
from layerkit.drawing import diagram
from layerkit.drawing.diagram import draw_network
from layerkit.spec.tracing import trace


def draw(path, *layers):
    text = '{"format": 1, "name": "n", "input": {"channels": 3, "height": 8, "width": 8}, "layers": [%s]}'
    architecture = load_architecture(text % ", ".join(layers))
    shape = architecture.input.shape
    draw_network(path, "a title", shape, trace(architecture.network, shape), lambda layer: f"fields of {layer.type}")


def words(svg):
    # matplotlib draws letters as shapes and leaves the text beside them as a comment.
    return re.findall(r"<!-- (.*?) -->", svg.read_text())


def test_every_layer_is_a_box_with_its_fields_and_its_shape(tmp_path):
    draw(tmp_path / "n.svg", '{"type": "conv2d", "out_channels": 5, "kernel_size": 3}', '{"type": "relu"}')
    assert words(tmp_path / "n.svg") == [
        *("a title", "3 x 8 x 8"),
        *("conv2d", "fields of conv2d", "5 x 6 x 6"),
        *("relu", "fields of relu", "5 x 6 x 6"),
    ]


def test_containers_are_frames_and_short_cuts_say_how_they_join(tmp_path):
    inner = '{"type": "residual", "layers": [{"type": "relu"}]}'
    draw(tmp_path / "n.svg", f'{{"type": "skip", "layers": [{inner}]}}')
    shown = words(tmp_path / "n.svg")
    assert {"skip fields of skip", "residual fields of residual", "+", "concat"} <= set(shown)


def test_repeated_layers_are_drawn_once(tmp_path):
    draw(tmp_path / "n.svg", '{"type": "repeat", "times": 500, "layers": [{"type": "relu"}]}')
    assert words(tmp_path / "n.svg").count("relu") == 1


def test_a_very_deep_network_can_still_be_drawn(tmp_path, monkeypatch):
    monkeypatch.setattr(diagram, "ROW", 60.0)  # as if there were many layers more, which take long to draw
    draw(tmp_path / "n.png", *['{"type": "relu"}'] * 10)  # of more than 65,536 rows, if drawn as large as others
    with Image.open(tmp_path / "n.png") as picture:
        picture.verify()


def test_other_formats_are_refused(tmp_path):
    with pytest.raises(UserError, match=r"n\.txt: a diagram is written as \.svg, \.png or \.pdf"):
        draw(tmp_path / "n.txt", '{"type": "relu"}')
