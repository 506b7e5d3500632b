"""Real trainings, killed, stopped and started again by real processes."""

from __future__ import annotations

import json
import os
import random
import signal
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import pytest
import safetensors.torch
import torch

from layerkit.checkpoints.checkpoint import load

STEPS, BATCH, PAIRS = 5, 4, 40
"""Steps between checkpoints, pictures in a step, pictures in an epoch."""


@pytest.fixture
def command(tiny, tmp_path) -> Callable[[Path], list[object]]:
    """Return a function that gives the arguments of a training that saves much and often."""
    spec = tiny.spec(tmp_path, epochs=30, optimizer={"type": "adam"})
    options = ["--data", tiny.data, "--checkpoint-steps", STEPS, "--quiet"]
    return lambda folder: ["train", spec, *options, "--output", folder]


def trained(folder: Path) -> dict[str, torch.Tensor]:
    return safetensors.torch.load_file(folder / "checkpoint.safetensors")


def assert_nothing_lost(folder: Path) -> int:
    """Return the pictures that the last checkpoint has seen, at most an interval before what was certainly done."""
    # What follows the last end of a line is one that was not written to its end.
    lines = (folder / "metrics.jsonl").read_text().split("\n")[:-1] if (folder / "metrics.jsonl").exists() else []
    epochs = max((json.loads(line)["epoch"] for line in lines if '"event": "epoch"' in line), default=0)
    path = folder / "checkpoint.safetensors"
    saved = load(path).position["pictures"] if path.exists() else 0
    assert saved >= PAIRS * epochs - STEPS * BATCH
    return saved


def test_killed_at_any_moment_nothing_is_lost_or_corrupt(tmp_path, start, command, thorough):
    whole = start(*command(tmp_path / "whole"))
    changes = sum(1 for _ in whole.changes())
    assert whole.finish() == 0
    drawn, kills, number, before = random.Random(0), 200 if thorough else 5, 0, 0
    while kills:
        folder = tmp_path / f"run-{number}"
        started, last = start(*command(folder)), drawn.randrange(changes // 2)
        if all(change < last for change in started.changes()):
            assert started.finish() == 0
            assert_same(folder, tmp_path / "whole")
            number, before = number + 1, 0
            continue
        started.process.kill()
        assert started.finish() == -signal.SIGKILL
        kills -= 1
        saved = assert_nothing_lost(folder)
        assert saved >= before
        before = saved
    assert start(*command(folder)).finish() == 0
    assert_same(folder, tmp_path / "whole")


def assert_same(folder: Path, whole: Path) -> None:
    ours, theirs = trained(folder), trained(whole)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert not list(folder.glob(".*.tmp"))
    assert sorted(os.listdir(folder)) == sorted(os.listdir(whole))


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_saves_and_stops(tmp_path, tiny, start, number, code):
    spec = tiny.spec(tmp_path, epochs=100_000)
    first = start("train", spec, "--data", tiny.data, "--output", tmp_path / "run", "--quiet")
    assert any((tmp_path / "run" / "checkpoint.safetensors").exists() for _ in first.changes())
    second = start("train", "--resume", tmp_path / "run", "--quiet")
    assert list(islice(second.changes(), 9)) == [0]  # it opens the lock, which the first one holds, and that is all
    assert second.finish() == 2
    os.kill(first.process.pid, number)
    assert first.finish() == code
    saved = load(tmp_path / "run" / "checkpoint.safetensors").position
    assert (saved["epoch"], saved["batch"]) == (1, 1)  # not where it stood, in the end of the epoch, but a step later
