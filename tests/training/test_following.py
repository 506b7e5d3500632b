"""Trainings that several processes share, by the command line."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from together import together
from works import NORMALIZED, begin_with_other_data, command, distance

from layerkit.checkpoints.checkpoint import load
from layerkit.cli import run

STOPPED = 128 + signal.SIGTERM


def spec(folder: Path, normalized: bool) -> str:
    """Return a file with a network for 8 x 8 pixels, trained in 20 steps."""
    tree = json.loads(NORMALIZED)
    tree["input"] |= {"height": 8, "width": 8}
    tree["training"] |= {"epochs": 2}
    if not normalized:
        tree["layers"] = [layer for layer in tree["layers"] if layer["type"] in ("conv2d", "relu")]
    path = folder / "spec.json"
    path.write_text(json.dumps(tree))
    return str(path)


def learned(folder: Path) -> list[np.ndarray]:
    return [tensor.numpy() for tensor in load(folder / "checkpoint.safetensors").network.state_dict().values()]


def recorded(folder: Path) -> list[dict[str, Any]]:
    """Return what the metrics say, without what the clock says."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key != "seconds"} for line in lines]


@pytest.mark.parametrize("reproducible", [False, True])
def test_a_training_is_stopped_and_goes_on_with_other_numbers_of_processes(reproducible, tmp_path, tiny, capsys):
    options = ["--data", str(tiny.data), "--quiet"] + (["--reproducible"] if reproducible else [])
    arguments = ["train", spec(tmp_path, normalized=not reproducible), *options, "--output"]
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert run([*arguments, str(whole)]) == 0
    stopped = together(2, command, [*arguments, str(parts)], (1, 6))
    assert [code for code, *_ in stopped] == [STOPPED, STOPPED]
    assert stopped[0][1].startswith("stopped and saved after 28 pictures in ")
    assert stopped[1][1] == "process 1 of 2 stopped with the others\n"
    resume = ["train", "--resume", str(parts), "--quiet"]
    assert [code for code, *_ in together(3, command, resume, (0, 5))] == [STOPPED] * 3
    assert run(resume) == 0
    if reproducible:
        assert all(map(np.array_equal, learned(parts), learned(whole)))
        assert recorded(parts) == recorded(whole)
    else:
        assert distance(learned(parts), learned(whole)) < 1e-6
        for shared, alone in zip(recorded(parts), recorded(whole), strict=True):
            assert (shared["event"], shared.get("pictures")) == (alone["event"], alone.get("pictures"))
            assert shared.get("denoised", {}) == pytest.approx(alone.get("denoised", {}), rel=1e-5)
    assert {path.name for path in parts.iterdir()} == {path.name for path in whole.iterdir()}
    capsys.readouterr()


def test_a_full_disk_ends_all_processes_with_one_sentence(tmp_path, tiny):
    output = tmp_path / "run"
    arguments = ["train", spec(tmp_path, True), "--data", str(tiny.data), "--quiet", "--output", str(output)]
    reason = f"{output / 'checkpoint.safetensors'} cannot be written: {os.strerror(28)}"
    told = (1, f"error: process 0 of 2 failed: {reason}\n")
    assert [answer[:2] for answer in together(2, command, arguments, None, True)] == [told, told]


def test_a_mistake_in_the_spec_is_told_by_all(tmp_path, tiny):
    arguments = ["train", str(tmp_path / "none.json"), "--data", str(tiny.data)]
    told = (2, f"error: process 0 of 2 failed: {tmp_path / 'none.json'}: cannot be read: there is no such file\n")
    assert [answer[:2] for answer in together(2, command, arguments)] == [told, told]


def test_other_data_in_one_process_is_an_error():
    told = "process 1 reads other data than process 0; give every machine the same files"
    first, second = together(2, begin_with_other_data)
    assert first == second
    assert first.endswith(f" of 2 failed: {told}")


def test_an_evaluation_is_shared_and_gives_the_same_numbers(tmp_path, tiny, saved, capsys):
    arguments = ["evaluate", str(saved), "--data", str(tiny.data), "--json"]
    assert run(arguments) == 0
    alone = json.loads(capsys.readouterr().out)
    (first, second) = together(3, command, arguments)[:2]
    assert (first[0], second[0]) == (0, 0)
    assert second[2] == ""
    shared = json.loads(first[2])
    assert shared["denoised"] == pytest.approx(alone["denoised"], rel=1e-6)
    assert shared["noisy"] == alone["noisy"]
