"""Real trainings, killed, stopped and started again by real processes."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
import safetensors.torch
import torch

from layerkit.checkpoints.checkpoint import load

STEPS, BATCH, PAIRS = 5, 4, 40
"""Steps between checkpoints, pictures in a step, pictures in an epoch."""


@pytest.fixture
def command(tiny, tmp_path) -> Callable[[Path], list[object]]:
    """Return a function that gives the arguments of a training of two or three seconds, most of it in steps."""
    spec = tiny.spec(tmp_path, epochs=30, optimizer={"type": "adam"})
    options = ["--data", tiny.data, "--checkpoint-steps", STEPS, "--quiet"]
    return lambda folder: ["train", spec, *options, "--output", folder]


def finish(process: BaseProcess) -> int:
    process.join(120)
    return process.exitcode


def trained(folder: Path) -> dict[str, torch.Tensor]:
    return safetensors.torch.load_file(folder / "checkpoint.safetensors")


def assert_nothing_lost(folder: Path) -> int:
    """Return the pictures that the last checkpoint has seen, at most an interval before what was certainly done."""
    lines = (folder / "metrics.jsonl").read_text().splitlines() if (folder / "metrics.jsonl").exists() else []
    epochs = max((json.loads(line)["epoch"] for line in lines if '"event": "epoch"' in line), default=0)
    path = folder / "checkpoint.safetensors"
    saved = load(path).position["pictures"] if path.exists() else 0
    assert saved >= PAIRS * epochs - STEPS * BATCH
    return saved


def test_killed_at_any_moment_nothing_is_lost_or_corrupt(tmp_path, start, command, thorough):
    assert finish(start(*command(tmp_path / "whole"))) == 0  # starts the server too
    begun = time.monotonic()
    assert finish(start(*command(tmp_path / "again"))) == 0
    duration = time.monotonic() - begun
    drawn, kills, number, before = random.Random(), 200 if thorough else 5, 0, 0
    while kills:
        folder = tmp_path / f"run-{number}"
        process = start(*command(folder))
        process.join(drawn.uniform(0.1 * duration, 0.7 * duration))
        process.kill()
        if finish(process) == 0:
            assert_same(folder, tmp_path / "whole")
            number, before = number + 1, 0
            continue
        assert process.exitcode == -signal.SIGKILL
        kills -= 1
        saved = assert_nothing_lost(folder)
        assert saved >= before
        before = saved
    if process.exitcode:
        assert finish(start(*command(folder))) == 0
        assert_same(folder, tmp_path / "whole")


def assert_same(folder: Path, whole: Path) -> None:
    ours, theirs = trained(folder), trained(whole)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert not list(folder.glob(".*.tmp"))
    assert sorted(os.listdir(folder)) == sorted(os.listdir(whole))


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_saves_and_stops(tmp_path, tiny, start, number, code):
    spec = tiny.spec(tmp_path, epochs=100_000)
    process = start("train", spec, "--data", tiny.data, "--output", tmp_path / "run", "--quiet")
    wait_for(tmp_path / "run" / "checkpoint.safetensors")
    second = start("train", "--resume", tmp_path / "run", "--quiet")
    assert finish(second) == 2  # the first holds the folder
    os.kill(process.pid, number)
    assert finish(process) == code
    saved = load(tmp_path / "run" / "checkpoint.safetensors").position
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert saved["epoch"] >= lines[-1]["epoch"] - 1


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
