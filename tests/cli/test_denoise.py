from __future__ import annotations

import json
import os

import numpy as np
import pytest
from PIL import Image

from layerkit import build, load_architecture, save
from layerkit.cli import run


@pytest.fixture
def checkpoint(tmp_path) -> str:
    """Return a network that keeps pictures of every size."""
    layer = {"type": "conv2d", "out_channels": 3, "kernel_size": 3, "padding": 1}
    tree = {"format": 1, "name": "net", "input": {"channels": 3, "height": 8, "width": 8}, "layers": [layer]}
    architecture = load_architecture(json.dumps(tree))
    save(tmp_path / "net.safetensors", build(architecture), architecture)
    return str(tmp_path / "net.safetensors")


def picture(path, mode: str, size: tuple[int, int] = (9, 5)) -> str:
    channels = len(Image.new(mode, (1, 1)).getbands())
    values = np.random.default_rng(0).integers(0, 256, (size[1], size[0], channels), dtype=np.uint8)
    Image.fromarray(values[..., 0] if channels == 1 else values).save(path)
    return str(path)


def test_files_and_folders(tmp_path, checkpoint, capsys):
    (tmp_path / "folder").mkdir()
    first = picture(tmp_path / "one.png", "RGB")
    picture(tmp_path / "folder" / "two.jpg", "RGB", (40, 33))
    picture(tmp_path / "folder" / "three.bmp", "L", (1, 1))
    (tmp_path / "folder" / "note.txt").write_text("no picture")
    output = tmp_path / "new" / "clean"
    assert run(["denoise", checkpoint, first, str(tmp_path / "folder"), "--output", str(output)]) == 0
    assert sorted(os.listdir(output)) == ["one.png", "three.png", "two.png"]
    for name, size in (("one.png", (9, 5)), ("two.png", (40, 33)), ("three.png", (1, 1))):
        with Image.open(output / name) as result:
            assert result.size == size
    assert f"{first} -> {output / 'one.png'}" in capsys.readouterr().out


@pytest.mark.parametrize(("mode", "expected"), [("RGB", "RGB"), ("L", "L"), ("RGBA", "RGBA"), ("LA", "LA")])
def test_colours_and_transparency_are_kept(tmp_path, checkpoint, mode, expected):
    path = picture(tmp_path / "in.png", mode)
    assert run(["denoise", checkpoint, path, "--output", str(tmp_path / "out")]) == 0
    with Image.open(tmp_path / "out" / "in.png") as result, Image.open(path) as given:
        assert result.mode == expected
        if mode.endswith("A"):
            assert np.array_equal(np.array(result)[..., -1], np.array(given)[..., -1])


def test_overwrite(tmp_path, checkpoint):
    path = picture(tmp_path / "in.png", "RGB")
    arguments = ["denoise", checkpoint, path, "--output", str(tmp_path / "out")]
    assert run(arguments) == 0
    assert run(arguments) == 2
    assert run([*arguments, "--overwrite"]) == 0


def test_tiles_change_nothing(tmp_path, checkpoint):
    path = picture(tmp_path / "in.png", "RGB", (70, 50))
    for tile in ("16", "256"):
        assert run(["denoise", checkpoint, path, "--output", str(tmp_path / tile), "--tile", tile]) == 0
    assert (tmp_path / "16" / "in.png").read_bytes() == (tmp_path / "256" / "in.png").read_bytes()


def test_an_output_that_cannot_be_written(tmp_path, checkpoint, capsys):
    path = picture(tmp_path / "in.png", "RGB")
    (tmp_path / "file").write_text("")
    assert run(["denoise", checkpoint, path, "--output", str(tmp_path / "file")]) == 1
    said = capsys.readouterr().err
    assert "error: " in said
    assert "Traceback" not in said
