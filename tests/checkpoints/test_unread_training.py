"""A network is used where the packages of its training are not installed."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from layerkit import build, load, load_architecture, save
from layerkit.cli import run
from layerkit.errors import CheckpointError, SpecError, UserError
from layerkit.spec.loading import read_network
from layerkit.spec.unread import UnreadTraining

LAYER = {"type": "conv2d", "out_channels": 3, "kernel_size": 3, "padding": 1}
TRAINING = {
    "loss": {"type": "mse"},
    "optimizer": {"type": "sgd", "lr": 0.05},
    "noise": {"type": "gaussian", "sigma": 25},
    "schedule": {"type": "cosine"},
}
ELSEWHERE = {"type": "nowhere", "strength": 3}
MISSING = {
    "optimizer": {"optimizer": ELSEWHERE},
    "loss": {"loss": ELSEWHERE},
    "inner loss": {"loss": {"type": "masked", "loss": ELSEWHERE}},
    "noise": {"noise": ELSEWHERE},
    "schedule": {"schedule": ELSEWHERE},
    "everything": dict.fromkeys(TRAINING, ELSEWHERE),
    "a field of a later version": {"momentum_of_tomorrow": 1},
}

Make = Callable[..., Path]


def text_of(training: Any, **changes: Any) -> str:
    tree = {"format": 1, "name": "net", "input": {"channels": 3, "height": 8, "width": 8}, "layers": [LAYER]}
    kinds = ("loss", "optimizer", "noise", "schedule")
    requires = {kind: {"nowhere": f"layerkit-nowhere=={number}.0"} for number, kind in enumerate(kinds)}
    return json.dumps(tree | {"training": training, "requires": requires} | changes, indent=2)


@pytest.fixture
def checkpoint(tmp_path) -> Make:
    """Return a function that writes the checkpoint of a run whose ``training`` block has some other values."""

    def make(**changes: Any) -> Path:
        architecture = read_network(text_of(TRAINING | changes), "net.json")
        (tmp_path / "run").mkdir()
        save(tmp_path / "run" / "checkpoint.safetensors", build(architecture, 3), architecture)
        return tmp_path / "run" / "checkpoint.safetensors"

    return make


@pytest.fixture
def picture(tmp_path) -> Path:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "picture.png")
    return tmp_path / "picture.png"


@pytest.mark.parametrize("missing", MISSING)
def test_the_network_works_and_the_block_stays_as_it_was(checkpoint, tmp_path, missing):
    held = load(checkpoint(**MISSING[missing]))
    architecture = held.architecture
    assert architecture.training is None
    assert architecture.unread_training.tree == TRAINING | MISSING[missing]
    x = torch.rand(2, 3, 8, 8)
    assert torch.equal(held.network(x), build(load_architecture(text_of(TRAINING)), 3).eval()(x))
    save(tmp_path / "again", held.network, architecture)
    assert load(tmp_path / "again").architecture.to_json() == architecture.to_json()
    assert json.loads(architecture.to_json())["training"] == TRAINING | MISSING[missing]


def test_whoever_needs_the_block_is_told_what_to_install(checkpoint):
    held = load(checkpoint(optimizer=ELSEWHERE))
    message = (
        r'checkpoint\.safetensors \(architecture\):\d+:\d+: training\.optimizer\.type .*unknown optimizer "nowhere"'
    )
    with pytest.raises(SpecError, match=message + '.*pip install "layerkit-nowhere==1.0"'):
        _ = held.architecture.trained


def test_a_block_that_is_there_is_read(checkpoint):
    held = load(checkpoint())
    assert held.architecture.unread_training is None
    assert held.architecture.trained == held.architecture.training
    assert held.architecture.trained.optimizer.lr == 0.05


def test_nothing_says_how_to_train(checkpoint):
    architecture = load(checkpoint()).architecture.model_copy(update={"training": None})
    with pytest.raises(UserError, match=r'the network "net" has no "training" block.*add one as table1\.json has'):
        _ = architecture.trained


@pytest.mark.parametrize("missing", ["everything", "a field of a later version"])
def test_denoise(checkpoint, picture, tmp_path, missing):
    path = str(checkpoint(**MISSING[missing]))
    assert run(["denoise", path, str(picture), "--output", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out" / "picture.png").is_file()


@pytest.mark.parametrize("missing", ["everything", "a field of a later version"])
def test_evaluate_on_data_with_noise_of_their_own(checkpoint, tiny, missing, capsys):
    assert run(["evaluate", str(checkpoint(**MISSING[missing])), "--data", str(tiny.data), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["pictures"] == 6


@pytest.mark.usefixtures("no_classical_methods")
def test_evaluate_where_the_noise_alone_can_be_read(checkpoint, picture, capsys):
    path = str(checkpoint(optimizer=ELSEWHERE, loss=ELSEWHERE))
    assert run(["evaluate", path, "--data", str(picture), "--json"]) == 0
    noisy = json.loads(capsys.readouterr().out)["noisy"]["psnr_of_mse"]
    assert noisy == pytest.approx(20 * math.log10(255 / TRAINING["noise"]["sigma"]), abs=0.5)


def test_evaluate_needs_the_noise_where_it_must_be_drawn(checkpoint, picture, capsys):
    assert run(["evaluate", str(checkpoint(noise=ELSEWHERE)), "--data", str(picture)]) == 2
    said = capsys.readouterr().err
    assert re.search(r'training\.noise\.type .*unknown noise "nowhere".*pip install "layerkit-nowhere==2\.0"', said)


def test_resume_says_what_to_install(checkpoint, tiny, capsys):
    folder = checkpoint(schedule=ELSEWHERE).parent
    (folder / "architecture.json").write_text(text_of(TRAINING | {"schedule": ELSEWHERE}))
    (folder / "run.json").write_text(json.dumps({"data": str(tiny.data)}))
    assert run(["train", "--resume", str(folder)]) == 2
    said = capsys.readouterr().err
    assert re.search(r'training\.schedule\.type .*unknown schedule.*pip install "layerkit-nowhere==3\.0"', said)


def test_train_says_what_to_install(tmp_path, tiny, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.json").write_text(text_of(TRAINING | {"loss": ELSEWHERE}))
    assert run(["train", "net.json", "--data", str(tiny.data)]) == 2
    assert 'pip install "layerkit-nowhere==0.0"' in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


@pytest.mark.usefixtures("no_classical_methods")
def test_the_plugin_itself_left_out(tmp_path, tiny, picture, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.json").write_text(text_of(TRAINING | {"optimizer": {"type": "rmsprop"}}, requires=None))
    assert run(["train", "net.json", "--data", str(tiny.data), "--epochs", "1", "--output", "run", "--quiet"]) == 0
    checkpoint, without = "run/checkpoint.safetensors", ["--without", "layerkit-optimizers"]
    assert run([*without, "denoise", checkpoint, str(picture), "--output", "out"]) == 0
    assert run([*without, "evaluate", checkpoint, "--data", str(tiny.data)]) == 0
    capsys.readouterr()
    assert run([*without, "train", "--resume", "run", "--epochs", "2"]) == 2
    assert 'pip install "layerkit-optimizers==' in capsys.readouterr().err
    assert run(["train", "--resume", "run", "--epochs", "2"]) == 0


@pytest.mark.parametrize("training", [3, "adam", [], {"noise": 5}, {"noise": {"type": "gaussian", "sigma": "strong"}}])
def test_a_block_of_any_kind_stays_data(training):
    architecture = read_network(text_of(training), "net.json")
    assert architecture.unread_training == UnreadTraining(training, architecture.unread_training.problems)
    assert read_network(architecture.to_json(), "again").unread_training.tree == training


def test_mistakes_elsewhere_are_still_mistakes():
    text = text_of(TRAINING | {"loss": ELSEWHERE}, layers=[LAYER | {"kernel_size": -1}])
    with pytest.raises(SpecError) as caught:
        read_network(text, "net.json")
    assert [problem.path[0] for problem in caught.value.problems] == ["layers", "training"]
    shapes = text_of(TRAINING | {"loss": ELSEWHERE}, layers=[LAYER, {"type": "flatten"}, LAYER])
    with pytest.raises(SpecError, match=r"net\.json:\d+:\d+: layers\[2\]"):
        read_network(shapes, "net.json")


def test_the_packages_of_the_layers_are_needed(checkpoint, tmp_path):
    architecture = load_architecture(text_of(TRAINING, layers=[LAYER, {"type": "batch_norm2d"}], requires=None))
    save(tmp_path / "file", build(architecture), architecture)
    assert run(["--no-plugins", "denoise", str(tmp_path / "file"), "x.png", "--output", "out"]) == 2
    from layerkit.registry.catalogue import installed
    from layerkit.registry.discovery import PluginSettings

    with pytest.raises(CheckpointError, match=r'layers\[1\]\.type .*pip install "layerkit-normalization=='):
        load(tmp_path / "file", catalogue=installed(PluginSettings(enabled=False)))
