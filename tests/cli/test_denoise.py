from __future__ import annotations

import json
import os

import numpy as np
import pytest
from PIL import Image

from layerkit import build, load_architecture, save
from layerkit.checkpoints.checkpoint import load
from layerkit.cli import run
from layerkit.data.noise_level import NoiseRange


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
    assert sorted(os.listdir(output)) == ["folder", "one.png"]
    assert sorted(os.listdir(output / "folder")) == ["three.png", "two.png"]
    for name, size in (("one.png", (9, 5)), ("folder/two.png", (40, 33)), ("folder/three.png", (1, 1))):
        with Image.open(output / name) as result:
            assert result.size == size
    said = capsys.readouterr().out
    assert f"{first} -> {output / 'one.png'}\n" in said  # too small for an estimate
    assert f"{tmp_path / 'folder' / 'two.jpg'} -> {output / 'folder' / 'two.png'}, noise about " in said


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


# Folders


def test_subfolders_are_left_alone_and_names_are_kept(tmp_path, checkpoint):
    (tmp_path / "in" / "below").mkdir(parents=True)
    picture(tmp_path / "in" / "a b.c.png", "RGB")
    picture(tmp_path / "in" / "below" / "other.png", "RGB")
    assert run(["denoise", checkpoint, str(tmp_path / "in"), "--output", str(tmp_path / "out")]) == 0
    assert os.listdir(tmp_path / "out") == ["a b.c.png"]


def test_pictures_of_one_name_keep_their_old_ending_which_is_told_once(tmp_path, checkpoint, capsys):
    (tmp_path / "in").mkdir()
    for name in ("a.png", "a.jpg", "b.jpg", "b.bmp", "c.jpg"):
        picture(tmp_path / "in" / name, "RGB")
    arguments = ["denoise", checkpoint, str(tmp_path / "in"), "--output", str(tmp_path / "out"), "--compare"]
    assert run(arguments) == 0
    written = [name for name in sorted(os.listdir(tmp_path / "out")) if "-compare" not in name]
    assert written == ["a.jpg.png", "a.png", "b.bmp.png", "b.jpg.png", "c.png"]
    assert (tmp_path / "out" / "a.jpg-compare.png").exists()
    said = capsys.readouterr()
    assert said.err.count("keep their old ending") == 1
    assert "note: 3 of 5 pictures keep their old ending, such as a.jpg.png, because others have the same" in said.err
    assert f"{tmp_path / 'in' / 'a.jpg'} -> {tmp_path / 'out' / 'a.jpg.png'}" in said.out
    with Image.open(tmp_path / "out" / "a.png") as one, Image.open(tmp_path / "out" / "a.jpg.png") as other:
        assert one.tobytes() != other.tobytes()


def test_pictures_from_several_folders_keep_their_tree(tmp_path, checkpoint):
    for folder in ("2023/spring", "2024"):
        (tmp_path / folder).mkdir(parents=True)
        picture(tmp_path / folder / "a.png", "RGB")
    folders = [str(tmp_path / "2024"), str(tmp_path / "2023" / "spring")]
    assert run(["denoise", checkpoint, *folders, "--output", str(tmp_path / "out")]) == 0
    written = [path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.png")]
    assert sorted(written) == ["2023/spring/a.png", "2024/a.png"]


def test_one_picture_that_cannot_be_read_does_not_stop_the_others(tmp_path, checkpoint, capsys):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "b.png").write_bytes(b"no picture")
    for name in "ac":
        picture(tmp_path / "in" / f"{name}.png", "RGB")
    assert run(["denoise", checkpoint, str(tmp_path / "in"), "--output", str(tmp_path / "out")]) == 1
    assert sorted(os.listdir(tmp_path / "out")) == ["a.png", "c.png"]
    said = capsys.readouterr()
    assert "error: 1 of 3 pictures could not be denoised:\n" in said.err
    assert f"{tmp_path / 'in' / 'b.png'}: not a picture in a known format" in said.err
    assert said.out.count(" -> ") == 2


def test_one_picture_that_does_not_fit_does_not_stop_the_others(tmp_path, capsys):
    layer = {"type": "conv2d", "out_channels": 2, "kernel_size": 1}
    tree = {"format": 1, "name": "net", "input": {"channels": 2, "height": 8, "width": 8}, "layers": [layer]}
    architecture = load_architecture(json.dumps(tree))
    save(tmp_path / "two.safetensors", build(architecture), architecture)
    grey, colour = picture(tmp_path / "grey.png", "L"), picture(tmp_path / "colour.png", "RGB")
    arguments = ["denoise", str(tmp_path / "two.safetensors"), colour, grey, "--output", str(tmp_path / "out")]
    assert run(arguments) == 1
    assert os.listdir(tmp_path / "out") == ["grey.png"]
    assert f"{colour}: the network takes pictures of 2 channels, this one has 3" in capsys.readouterr().err


def test_a_network_that_does_not_keep_the_size(tmp_path, capsys):
    layer = {"type": "conv2d", "out_channels": 3, "kernel_size": 3}
    tree = {"format": 1, "name": "net", "input": {"channels": 3, "height": 8, "width": 8}, "layers": [layer]}
    architecture = load_architecture(json.dumps(tree))
    save(tmp_path / "shrinks.safetensors", build(architecture), architecture)
    path = picture(tmp_path / "in.png", "RGB")
    assert run(["denoise", str(tmp_path / "shrinks.safetensors"), path, "--output", str(tmp_path / "out")]) == 2
    assert f"error: {path}: the network turns (1, 3, 8, 8) into (1, 3, 6, 6)" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


# Noise


@pytest.fixture
def trained(checkpoint) -> str:
    """Return the network as if it had been trained for noise of 20 to 25."""
    held = load(checkpoint)
    save(checkpoint, held.network, held.architecture, noise_range=NoiseRange(20, 25))
    return checkpoint


def noisy(path, sigma: float) -> str:
    values = 128 + sigma * np.random.default_rng(0).standard_normal((64, 64, 3))
    Image.fromarray(values.clip(0, 255).astype(np.uint8)).save(path)
    return str(path)


def test_noise_that_the_network_was_not_trained_for(tmp_path, trained, capsys):
    (tmp_path / "in").mkdir()
    for sigma in (1, 8, 22, 60):
        noisy(tmp_path / "in" / f"{sigma}.png", sigma)
    assert run(["denoise", trained, str(tmp_path / "in"), "--output", str(tmp_path / "out")]) == 0
    said = capsys.readouterr()
    assert f"22.png -> {tmp_path / 'out' / '22.png'}, noise about 2" in said.out
    warnings = {line.split(": ")[1]: line.split(": ")[2] for line in said.err.splitlines()}
    assert {os.path.basename(path): text.split(";")[0] for path, text in warnings.items()} == {
        "1.png": "hardly any noise",
        "8.png": "little noise, about 8",
        "60.png": "much noise, about 58",
    }
    assert all("the network was trained for about 20 to 25 of 255" in text for text in warnings.values())


def test_a_checkpoint_that_does_not_know_its_noise(tmp_path, checkpoint, capsys):
    assert run(["denoise", checkpoint, noisy(tmp_path / "in.png", 90), "--output", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().err
    assert said == f"note: {checkpoint} does not say which noise the network was trained for\n"


def test_lines_and_a_bar_on_a_terminal(tmp_path, trained, monkeypatch):
    import io
    import sys

    import rich.console

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    said = Terminal()
    monkeypatch.setattr(sys, "stdout", said)
    monkeypatch.setattr(sys, "stderr", said)
    console = rich.console.Console(force_terminal=True, file=said, width=40, highlight=False)
    monkeypatch.setattr("layerkit.cli.commands.denoise.printer", lambda err: console)
    path = noisy(tmp_path / "a [b] c.png", 60)
    assert run(["denoise", trained, path, "--output", str(tmp_path / "out")]) == 0
    assert "100%" in said.getvalue()
    # Whole lines, longer than the terminal is wide, each of which begins where the bar was taken away.
    for line in (
        f"{path} -> {tmp_path / 'out' / 'a [b] c.png'}, noise about 58 of 255",
        f"warning: {path}: much noise",
    ):
        assert f"\x1b[2K{line}" in said.getvalue()


# Comparisons


def test_a_comparison_beside_every_picture(tmp_path, checkpoint):
    (tmp_path / "in").mkdir()
    picture(tmp_path / "in" / "small.png", "LA")
    picture(tmp_path / "in" / "large.jpg", "RGB", (200, 300))
    arguments = ["denoise", checkpoint, str(tmp_path / "in"), "--output", str(tmp_path / "out"), "--compare"]
    assert run(arguments) == 0
    assert sorted(os.listdir(tmp_path / "out")) == ["large-compare.png", "large.png", "small-compare.png", "small.png"]
    for name, size in (("small", (1671, 263)), ("large", (1696, 724))):
        with Image.open(tmp_path / "out" / f"{name}-compare.png") as result:
            assert result.size == size
    os.remove(tmp_path / "out" / "large.png")
    os.remove(tmp_path / "out" / "small.png")
    assert run(arguments) == 2
    assert run([*arguments, "--overwrite"]) == 0


def test_a_comparison_does_not_replace_a_picture(tmp_path, checkpoint, capsys):
    paths = [picture(tmp_path / f"{name}.png", "L") for name in ("a", "a-compare")]
    assert run(["denoise", checkpoint, *paths, "--output", str(tmp_path / "out"), "--compare"]) == 2
    assert f"would both be written as {tmp_path / 'out' / 'a-compare.png'}; leave out" in capsys.readouterr().err
    assert run(["denoise", checkpoint, *paths, "--output", str(tmp_path / "out")]) == 0


# Without a checkpoint


def test_the_network_inside_the_package_is_taken(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    values = np.full((64, 64, 3), 128) + 20 * np.random.default_rng(0).standard_normal((64, 64, 3))
    Image.fromarray(values.round().astype(np.uint8)).save("noisy.png")
    Image.fromarray(np.full((64, 64, 3), 128, np.uint8)).save("clean.png")
    assert run(["denoise", "noisy.png", "clean.png"]) == 0
    said = capsys.readouterr().out
    assert "noisy.png -> denoised/noisy.png, Gaussian noise, about 20 of 255, give or take 3 %\n" in said
    assert "clean.png -> denoised/clean.png, hardly any noise, about 0.0 of 255; left as it is\n" in said
    with Image.open("denoised/noisy.png") as result:
        assert np.asarray(result).std() < 5
    assert run(["denoise", ".", "--output", "less", "--strength", "0.3"]) == 0
    with Image.open("less/noisy.png") as result:
        assert 5 < np.asarray(result).std() < 19
    assert run(["denoise", "noisy.png", "--output", "flips", "--flips"]) == 0


def test_strength_out_of_range_and_for_a_network_that_has_none(tmp_path, checkpoint, capsys):
    path = picture(tmp_path / "in.png", "RGB")
    assert run(["denoise", path, "--strength", "5"]) == 2
    assert "error: BlindDenoiser: strength must be a number from 0 to 4, got 5.0" in capsys.readouterr().err
    assert run(["denoise", checkpoint, path, "--strength", "1"]) == 2
    assert 'error: the network "net" is told no level of the noise that could be changed' in capsys.readouterr().err


def test_a_network_without_pictures(checkpoint, capsys):
    assert run(["denoise", checkpoint]) == 2
    assert "is a network; give the pictures to denoise as well" in capsys.readouterr().err


def test_alone(tmp_path, checkpoint, capsys):
    generator = np.random.default_rng(0)
    values = (120 + 30 * generator.standard_normal((40, 40))).clip(0, 255).astype(np.uint8)
    Image.fromarray(values).save(tmp_path / "in.png")
    arguments = ["denoise", "--alone", str(tmp_path / "in.png"), "--output", str(tmp_path / "out")]
    assert run(arguments) == 0
    said = capsys.readouterr().out
    assert "in.png, Gaussian noise, about " in said
    assert said.endswith("; learned from the picture alone in 60 steps\n")
    with Image.open(tmp_path / "out" / "in.png") as result:
        assert np.array(result).std() < 10
    for more in (["--strength", "2"], ["--flips"]):
        assert run([*arguments, *more]) == 2
    assert run(["denoise", "--alone", checkpoint, str(tmp_path / "in.png")]) == 2
    assert "--alone trains a network of its own; leave out the checkpoint" in capsys.readouterr().err
