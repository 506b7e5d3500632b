"""What a user can get wrong: one clear sentence on standard error, exit code 2, no traceback, nothing left behind."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from layerkit.cli import run

CONV = {"type": "conv2d", "out_channels": 3, "kernel_size": 3, "padding": 1}


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refused(capsys: pytest.CaptureFixture, *arguments: object) -> str:
    """Return what is said when a command line is refused."""
    assert run([str(argument) for argument in arguments]) == 2
    said = capsys.readouterr()
    assert "Traceback" not in said.err
    assert said.err.count("\n") <= 12
    return said.err


def spec(tree: Any) -> str:
    Path("net.json").write_text(tree if isinstance(tree, str) else json.dumps(tree, indent=1))
    return "net.json"


SPECS: list[tuple[Any, str]] = [
    ("", "net.json:1:1: not JSON"),
    ("{'format': 1}", "net.json:1:2: not JSON: .* double quotes"),
    ('{"format": 1,\n "name": "a",\n "name": "b"}', 'net.json:3:2: the key "name" stands twice in one object'),
    (
        {"layers": [CONV | {"type": "con2d"}]},
        r'net.json:\d+:\d+: layers\[0\]\S* .*unknown layer "con2d"; did you mean "conv2d"',
    ),
    ({"layers": [CONV | {"kernal_size": 3}]}, r"layers\[0\]\.kernal_size .*kernel_size"),
    ({"layers": [CONV | {"out_channels": "3"}]}, r'layers\[0\]\.out_channels \(conv2d\): .*"3"'),
    ({"layers": [CONV | {"out_channels": True}]}, r"layers\[0\]\.out_channels \(conv2d\): .*true"),
    ('{"format": NaN}', "NaN is not a number that JSON knows; write a finite number"),
    ('{"format": 1e400}', "too large for a number"),
    ({"layers": [CONV | {"kernel_size": 9, "padding": 0}]}, r"layers\[0\] \(conv2d\): .*9"),
    ({"layers": [CONV | {"out_channels": 10**12}]}, r"layers\[0\]\.out_channels \(conv2d\)"),
    ({"layers": [CONV | {"out_channels": 65536, "kernel_size": 15, "padding": 7}] * 2}, "parameters, and at most"),
    ({"layers": []}, "layers"),
    ([1, 2], "expected an object"),
    ("[" * 1000, "levels of lists and objects"),
    (" " * 1_000_001, "too long"),
    ("\ufeff{}", "byte-order mark"),
]


@pytest.mark.parametrize("command", ["train", "validate", "show"])
@pytest.mark.parametrize(("tree", "sentence"), SPECS, ids=range(len(SPECS)))
def test_specs(here, tiny, capsys, tree, sentence, command):
    if isinstance(tree, dict):
        tree = tiny.tree() | tree
    assert re.search(sentence, refused(capsys, command, spec(tree)))
    assert os.listdir(here) == ["net.json"]


@pytest.mark.parametrize("command", ["train", "validate", "show"])
def test_missing_specs(here, capsys, command):
    assert "missing.json: cannot be read: there is no such file" in refused(capsys, command, "missing.json")
    assert ".: cannot be read: Is a directory" in refused(capsys, command, ".")


def test_a_folder_of_pictures_in_place_of_a_spec(here, capsys):
    Path("shots").mkdir()
    assert "shots: cannot be read: Is a directory; to train on the pictures in it: --pictures shots" in refused(
        capsys, "train", "shots"
    )


def test_a_spec_without_training(here, tiny, capsys):
    tree = tiny.tree()
    del tree["training"]
    sentence = 'net.json: the network "tiny" has no "training" block, so nothing says how to train it; add one'
    assert sentence in refused(capsys, "train", spec(tree))
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--set", "training.optimizer.lr"], "PATH=VALUE|path=value|="),
        (["--set", "training.optimizer.rl=1"], r"training\.optimizer\.rl \(sgd\): unknown field"),
        (["--set", "layers.0=3"], "layers"),
        (["--epochs", "0"], r"training\.epochs"),
        (["--epochs", "many"], "'many' is not a valid integer"),
        (["--batch-size", "-1"], r"training\.batch_size"),
        (["--lr", "nan"], r"lr|NaN"),
        (["--lr", "-1"], r"training\.optimizer\.lr"),
        (["--seed", str(2**64)], r"training\.seed"),
        (["--checkpoint-steps", "0"], "checkpoint-steps"),
        (["--checkpoint-minutes", "-1"], "checkpoint-minutes"),
        (["--unknown"], "No such option"),
        (["more.json"], "unexpected extra argument"),
    ],
)
def test_options(here, tiny, capsys, arguments, sentence):
    said = refused(capsys, "train", spec(tiny.tree()), "--data", tiny.data, *arguments)
    assert re.search(sentence, said)
    assert os.listdir(here) == ["net.json"]


def test_an_unknown_command(capsys):
    assert 'Did you mean "train"?' in refused(capsys, "trian")


def data_sets(here: Path) -> list[tuple[str, str]]:
    for name in ("empty", "text", "small"):
        (here / name).mkdir()
    (here / "text" / "note.png").write_text("this is no picture")
    Image.new("RGB", (4, 4)).save(here / "small" / "small.png")
    (here / "file.npz").write_bytes(b"PK")
    (here / "train_data.pkl").write_bytes(b"\x80\x02.")
    return [
        ("missing", "missing: no such file or folder; give one of these: photos, the photographs"),
        ("empty", "empty: no pictures in this folder"),
        ("text", "text/note.png: not a picture in a known format"),
        ("small", "small: no picture is large enough: crops need"),
        ("file.npz", "file.npz: "),
        ("train_data.pkl", "train_data.pkl: "),
        ("net.json", "net.json: not a picture in a known format"),
    ]


def test_data(here, tiny, capsys):
    spec(tiny.tree())
    for name, sentence in data_sets(here):
        assert f"error: {here}/{sentence}" in refused(capsys, "train", "net.json", "--data", name, "--output", "run")
    # A mistake in the command does not take the folder.
    assert run(["train", "net.json", "--data", str(tiny.data), "--output", "run", "--epochs", "1"]) == 0


@pytest.fixture
def checkpoint(here, tiny, capsys) -> str:
    assert run(["train", spec(tiny.tree()), "--data", str(tiny.data), "--output", "run", "--epochs", "1", "-q"]) == 0
    capsys.readouterr()
    return "run/checkpoint.safetensors"


@pytest.mark.parametrize("command", ["evaluate", "denoise"])
def test_checkpoints(here, checkpoint, capsys, command):
    more = ["picture.png", "--output", "clean"] if command == "denoise" else []
    Path("cut").write_bytes(Path(checkpoint).read_bytes()[:1000])
    Path("text").write_text("hello, hello")
    for name, sentence in (
        ("missing", "error: missing cannot be read: there is no such file"),
        ("run", "error: run is not a file"),
        ("cut", "error: cut is not a checkpoint of layerkit, or was cut short"),
        ("text", "error: text is not a checkpoint of layerkit"),
        ("net.json", "error: net.json is not a checkpoint of layerkit"),
    ):
        assert sentence in refused(capsys, command, name, *more)
    assert not Path("clean").exists()


def test_pictures_to_denoise(here, checkpoint, capsys):
    Path("empty").mkdir()
    Path("note.png").write_text("this is no picture")
    Image.new("RGB", (9, 5)).save("good.png")

    def said(*pictures: str, output: str = "clean") -> str:
        return refused(capsys, "denoise", checkpoint, *pictures, "--output", output)

    assert "error: missing.png: no such file or folder" in said("missing.png")
    assert "error: empty: no pictures in this folder" in said("empty")
    assert "error: good.png exists already" in said("good.png", output=".")
    assert "error: note.png: not a picture in a known format" in said("note.png")
    assert run(["denoise", checkpoint, "good.png", "note.png", "--output", "clean"]) == 1
    assert "pictures could not be denoised:\nnote.png: not a picture in a known format" in capsys.readouterr().err
    assert Path("clean/good.png").exists()  # the others are done all the same
    assert "clean/good.png exists already; use --overwrite" in said("good.png")
    assert "Invalid value for '--tile': 0 is not in the range x>=1." in refused(
        capsys, "denoise", checkpoint, "good.png", "--output", "other", "--tile", "0"
    )
    assert f"{checkpoint} is a network; give the pictures" in refused(capsys, "denoise", checkpoint, "--output", "x")
    assert "Missing argument '[CHECKPOINT] PICTURES...'" in refused(capsys, "denoise", "--output", "x")


def test_no_traceback_from_a_real_process(here, python):
    finished = python("-m", "layerkit", "validate", "missing.json")
    assert finished.returncode == 2
    assert "missing.json: cannot be read: there is no such file" in finished.stderr
    assert "Traceback" not in finished.stderr
