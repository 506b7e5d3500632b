"""``--device``: said in the first line, and refused with a sentence where there is none of that name."""

from __future__ import annotations

import json

import pytest
import torch

from layerkit.cli import run


def first_line(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    assert run([str(argument) for argument in arguments]) == 0
    return capsys.readouterr().out.splitlines()[0]


def test_it_is_said_first(tmp_path, tiny, capsys, no_classical_methods):
    said = f"on cpu ({torch.get_num_threads()} thread"
    spec, data, folder = tiny.spec(tmp_path), tiny.data, tmp_path / "run"
    train = "train", spec, "--data", data, "--epochs", "1", "--output", folder
    assert first_line(capsys, *train, "--device", "cpu").startswith(said)
    checkpoint = folder / "checkpoint.safetensors"
    assert first_line(capsys, "evaluate", checkpoint, "--data", data, "--device", "cpu").startswith(said)
    assert first_line(capsys, "profile", spec, "--seconds", "0.1", "--device", "cpu").startswith(said)
    conformance = "conformance", "relu", "--only", "same_input_same_bits", "--profile", "quick", "--device", "cpu"
    assert first_line(capsys, *conformance).startswith(said)
    for arguments in (("evaluate", checkpoint, "--data", data), ("profile", spec, "--seconds", "0.1")):
        assert run([*map(str, arguments), "--device", "cpu", "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["device"] == "cpu"
    assert run([*map(str, train[:-1]), str(tmp_path / "quiet"), "--quiet", "--device", "cpu"]) == 0
    assert "on cpu" not in capsys.readouterr().out


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
@pytest.mark.parametrize(
    "arguments",
    [
        ("train", "SPEC", "--output", "RUN"),
        ("denoise", "picture.png"),
        ("profile", "SPEC"),
        ("conformance", "relu"),
        ("evaluate", "checkpoint.safetensors"),
        ("experiment", "experiment.json"),
    ],
)
def test_a_device_that_is_not_there(arguments, tmp_path, tiny, capsys):
    places = {"SPEC": str(tiny.spec(tmp_path)), "RUN": str(tmp_path / "run")}
    assert run([*(places.get(word, word) for word in arguments), "--device", "cuda"]) == 2
    said = capsys.readouterr()
    assert said.err.startswith('error: there is no device "cuda": torch')
    assert said.err.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_a_precision_that_the_processor_does_not_have(tmp_path, tiny, capsys):
    arguments = "train", str(tiny.spec(tmp_path)), "--output", str(tmp_path / "run"), "--precision", "tf32"
    assert run([*arguments, "--device", "cpu"]) == 2
    assert "products of the precision tf32 are made by GPUs for CUDA, and cpu is none" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
