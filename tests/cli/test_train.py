"""``layerkit train``: what it writes and says, how it goes on, and how it fails."""

from __future__ import annotations

import errno
import io
import json
import os
import re
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from stopping import stop_after

from layerkit import disk as files
from layerkit.checkpoints.checkpoint import load
from layerkit.cli import run
from layerkit.disk import write_atomically
from layerkit.training.run import Run

Train = Callable[..., int]


@pytest.fixture
def train(tiny, tmp_path, monkeypatch, no_classical_methods) -> Train:
    """Return a function that trains the tiny network from the command line, without figures and classical methods."""
    monkeypatch.setattr("layerkit.cli.training.loss_curve", lambda path, *_: write_atomically(path, b"curve"))
    monkeypatch.setattr("layerkit.cli.training.montage", lambda path, *_: write_atomically(path, b"montage"))
    monkeypatch.chdir(tmp_path)
    spec = tiny.spec(tmp_path)

    def train(*arguments: object, output: object = "run") -> int:
        given = ["train", spec, "--data", tiny.data, *(["--output", output] if output else []), *arguments]
        return run([str(argument) for argument in given])

    return train


def resume(*arguments: object) -> int:
    return run(["train", "--resume", *map(str, arguments)])


# What it writes and says


def test_a_run_from_end_to_end(tmp_path, tiny, capsys):
    spec = tiny.spec(tmp_path)
    assert run(["train", str(spec), "--data", str(tiny.data), "--output", str(tmp_path / "run"), "--lr", "0.01"]) == 0
    names = ["architecture.json", "checkpoint.safetensors", "metrics.jsonl", "montage.png", "run.json"]
    assert sorted(os.listdir(tmp_path / "run")) == [".lock", *names]
    said = capsys.readouterr().out
    assert "tiny: 117 parameters, targets are other noisy versions (Noise2Noise)" in said
    assert "epoch 2/2 took" in said
    assert "6 validation pictures" in said
    assert "non-local means" in said
    assert "written: " in said
    resolved = json.loads((tmp_path / "run" / "architecture.json").read_text())
    assert resolved["training"]["optimizer"]["lr"] == 0.01
    assert resolved["requires"]["layer"]["conv2d"].startswith("layerkit==")
    assert [json.loads(line)["event"] for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()] == [
        "epoch",
        "epoch",
        "end",
    ]
    with Image.open(tmp_path / "run" / "montage.png") as picture:
        picture.load()


def test_a_schedule_is_set_where_the_spec_has_none(train, tmp_path):
    cosine = 'training.schedule={"type": "cosine", "warmup": 0.1}'
    assert train("--set", cosine, "--set", "training.schedule.final=0.5", "--lr", "0.02") == 0
    resolved = json.loads((tmp_path / "run" / "architecture.json").read_text())["training"]
    expected = {"type": "cosine", "warmup": 0.1, "final": 0.5, "cycles": 1, "decay": 1.0}
    assert resolved["schedule"] == expected


def test_a_curve_is_drawn_when_it_has_points(tmp_path, tiny):
    spec = tiny.spec(tmp_path, epochs=26)
    assert run(["train", str(spec), "--data", str(tiny.data), "--output", str(tmp_path / "run"), "-q"]) == 0
    with Image.open(tmp_path / "run" / "loss.png") as picture:
        picture.load()


def test_a_network_that_learned_nothing_is_told(train, capsys):
    assert train("--lr", "0") == 0
    assert "the network has learned nothing; try another learning rate" in capsys.readouterr().out


def test_quiet(train, capsys):
    assert train("--quiet") == 0
    said = capsys.readouterr().out
    assert "epoch" not in said
    assert "validation pictures" in said


def test_runs_get_names_of_their_own(train, tmp_path):
    assert train(output=None) == 0
    assert train(output=None) == 0
    assert sorted(os.listdir(tmp_path / "runs")) == ["tiny", "tiny-2"]


def test_a_terminal_gets_bars(train, monkeypatch):
    import rich.console

    said = io.StringIO()
    monkeypatch.setattr("layerkit.cli.progress.printer", lambda: rich.console.Console(force_terminal=True, file=said))
    assert train() == 0
    assert "40/40" in said.getvalue() or "epoch 1/2" in said.getvalue()


@pytest.mark.parametrize("name", ["loss.png", "montage.png"])
def test_a_picture_that_cannot_be_written_is_told_and_the_training_has_ended_well(
    tmp_path, tiny, monkeypatch, capsys, name
):
    monkeypatch.setattr("layerkit.training.progress.PICTURES_A_POINT", 12)
    (tmp_path / "run" / name).mkdir(parents=True)
    spec = tiny.spec(tmp_path)
    assert run(["train", str(spec), "--data", str(tiny.data), "--output", str(tmp_path / "run"), "-q"]) == 0
    told = rf"warning: .*{name} cannot be written: Is a directory; the network is saved all the same\n"
    assert re.fullmatch(told, capsys.readouterr().err)
    assert json.loads((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()[-1]) == {"event": "end"}
    load(tmp_path / "run" / "checkpoint.safetensors")


# Going on


def test_the_same_command_goes_on(train, monkeypatch, capsys):
    assert train(output="whole") == 0
    with monkeypatch.context() as patch:
        stop_after(patch, 13)
        assert train() == 143
    said = capsys.readouterr()
    assert re.search(r"saved after 52 pictures in \d+ s; go on with: layerkit train --resume run\n", said.err)
    assert "error" not in said.err
    assert train() == 0
    said = capsys.readouterr().out
    assert re.search(r"continuing run in epoch 2, after 52 pictures in \d+ s\n", said)
    assert re.search(r"trained on 80 pictures in \d+ s\n", said)
    ours, theirs = (load(f"{folder}/checkpoint.safetensors").network.state_dict() for folder in ("run", "whole"))
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_the_same_command_without_output_goes_on(train, monkeypatch, tmp_path, capsys):
    with monkeypatch.context() as patch:
        stop_after(patch, 3)
        assert train(output=None) == 143
    assert train(output=None) == 0
    assert "continuing runs/tiny in epoch 1, after 12 pictures" in capsys.readouterr().out
    assert os.listdir(tmp_path / "runs") == ["tiny"]


def test_another_command_does_not_go_on(train, monkeypatch, capsys):
    with monkeypatch.context() as patch:
        stop_after(patch, 3)
        assert train() == 143
    assert train("--seed", 1) == 2
    assert "run already holds another run: training.seed is 0 there and 1 here; choose" in capsys.readouterr().err


def test_resume_from_another_folder(train, monkeypatch, tmp_path, tiny):
    shutil.copy(tiny.data, "pairs.npz")
    with monkeypatch.context() as patch:
        stop_after(patch, 3)
        assert run(["train", "tiny.json", "--data", "pairs.npz", "--output", "run"]) == 143
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    assert resume("../run", "--epochs", 1) == 0


def test_resume_of_a_finished_run(train, capsys):
    assert train() == 0
    os.unlink("run/montage.png")
    before = Path("run/metrics.jsonl").read_bytes()
    assert resume("run") == 0
    assert "run has been trained for its 2 epochs" in capsys.readouterr().out
    assert Path("run/montage.png").exists()
    assert Path("run/metrics.jsonl").read_bytes() == before
    assert resume("run", "--epochs", 3) == 0
    assert "continuing run in epoch 3, after 80 pictures" in capsys.readouterr().out
    assert resume("run", "--epochs", 1) == 2
    assert train() == 2


def test_resume_mentions_other_versions(train, monkeypatch, capsys):
    with monkeypatch.context() as patch:
        stop_after(patch, 3)
        assert train() == 143
    path = Path("run/checkpoint.safetensors")
    held = load(path)
    old = held.architecture.model_copy(update={"requires": {"layer": {"relu": "layerkit==0.0.1"}}})
    from layerkit.checkpoints.checkpoint import save

    save(path, held.network, old, position=held.position, optimizer=old.training.optimizer.build(held.network.param()))
    assert resume("run") == 0
    assert "note: started with layerkit==0.0.1; another version is installed now" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (["spec.json"], "SPEC"),
        (["--lr", "1"], "--lr"),
        (["--data", "photos"], "--data/--pictures"),
        (["--set", "a=1"], "--set"),
    ],
)
def test_what_a_run_remembers_cannot_be_given(train, capsys, arguments, name):
    assert resume("run", *arguments) == 2
    assert f"{name} cannot be given with --resume" in capsys.readouterr().err


@pytest.mark.usefixtures("no_classical_methods")
def test_without_a_spec_it_is_the_network_that_comes_with_layerkit(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for number in range(2):
        Image.effect_noise((300, 300), 60).convert("RGB").save(tmp_path / f"{'ab'[number]}.png")
    arguments = ["train", "--pictures", ".", "--samples", "4", "--batch-size", "4", "--epochs", "1"]
    narrow = [word for name in ("width", "inner_width") for word in ("--set", f"define.{name}=2")]
    arguments += [*narrow, "--set", "define.shuffled_width=8"]
    assert run([*arguments, "--output", "run"]) == 0
    assert "no SPEC is given, so the network that comes with layerkit is trained" in capsys.readouterr().out
    resolved = json.loads((tmp_path / "run" / "architecture.json").read_text())
    default = json.loads((Path(__file__).parents[2] / "architectures" / "strong.json").read_text())
    assert resolved["name"] == default["name"]
    assert run([*arguments, "--output", "quiet", "--quiet"]) == 0
    assert "no SPEC" not in capsys.readouterr().out


@pytest.mark.parametrize("folder", ["missing", "."])
def test_resume_of_no_run(tmp_path, monkeypatch, capsys, folder):
    monkeypatch.chdir(tmp_path)
    assert resume(folder) == 2
    assert f"error: {folder} holds no run" in capsys.readouterr().err
    assert os.listdir(tmp_path) == []


def test_resume_from_a_damaged_checkpoint(train, monkeypatch, capsys):
    with monkeypatch.context() as patch:
        stop_after(patch, 3)
        assert train() == 143
    data = Path("run/checkpoint.safetensors").read_bytes()
    Path("run/checkpoint.safetensors").write_bytes(data[:-1])
    assert resume("run") == 2
    assert "is damaged or was cut short" in capsys.readouterr().err
    assert Path("run/checkpoint.safetensors").read_bytes() == data[:-1]


def test_files_of_two_runs_are_told_apart_and_kept(train, monkeypatch, capsys):
    with monkeypatch.context() as patch:
        stop_after(patch, 13)
        assert train() == 143
    path = Path("run/architecture.json")
    edited = path.read_text().replace('"out_channels": 2', '"out_channels": 5')
    path.write_text(edited)
    before = {path: path.read_bytes() for path in Path("run").iterdir()}
    capsys.readouterr()
    assert resume("run") == 2
    said = capsys.readouterr().err
    assert "layers[0].out_channels is 5 in architecture.json and 2 in checkpoint.safetensors" in said
    assert train() == 2
    assert "run already holds another run: layers[0].out_channels is 5 there and 2 here" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in Path("run").iterdir()} == before


def test_a_folder_with_a_checkpoint_alone_is_kept(train, capsys):
    assert train() == 0
    Path("other").mkdir()
    shutil.copy("run/checkpoint.safetensors", "other")
    assert train(output="other") == 2
    assert "other/checkpoint.safetensors is there already, without the architecture.json" in capsys.readouterr().err
    assert os.listdir("other") == ["checkpoint.safetensors"]


def test_metrics_that_are_gone_are_told(train, monkeypatch, capsys):
    with monkeypatch.context() as patch:
        stop_after(patch, 13)
        assert train() == 143
    os.unlink("run/metrics.jsonl")
    assert resume("run") == 0
    assert "note: run/metrics.jsonl is missing, so the loss curve starts here" in capsys.readouterr().out


# Failures


def test_a_run_that_is_busy(train, tmp_path, capsys):
    assert train() == 0
    with Run.open("run"):
        assert train() == 2
        assert resume("run") == 2
    assert "another process is training in run; wait for it" in capsys.readouterr().err


def test_a_second_ctrl_c_stops_at_once(train, monkeypatch, capsys):
    from layerkit.training.trainer import Trainer

    def pressed(self: Trainer, *pair: torch.Tensor) -> float:
        # To this thread: one that comes to another is looked at a moment later, and two of them then count as one.
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        raise AssertionError("the second was not noticed")

    monkeypatch.setattr(Trainer, "step", pressed)
    # Tests that a shell runs in the background have inherited that Ctrl-C is ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        assert train() == 130
    finally:
        signal.signal(signal.SIGINT, before)
    assert "stopped" in capsys.readouterr().err


def test_a_loss_that_is_not_finite(train, capsys):
    assert train("--lr", "1e6", "--checkpoint-steps", 1) == 1
    said = capsys.readouterr().err
    assert "try a smaller learning rate, such as 250000" in said
    assert "Traceback" not in said


def test_every_write_may_fail(train, monkeypatch, capsys, faulty_os, thorough):
    with monkeypatch.context() as patch:
        stop_after(patch, 7)
        assert train() == 143
    shutil.copytree("run", "begun")
    old = Path("begun/checkpoint.safetensors").read_bytes()
    failures = 0
    for number in (errno.ENOSPC, errno.EIO, errno.EACCES):
        for nth in range(1, 1000, 1 if thorough else 4):
            shutil.rmtree("run")
            shutil.copytree("begun", "run")
            with monkeypatch.context() as patch:
                faulty = faulty_os(nth, number, ("write", "fsync", "replace"))
                patch.setattr(files, "os", faulty)
                code = resume("run", "--checkpoint-steps", 4, "-q")
            said = capsys.readouterr().err
            if faulty.left > 0:
                assert code == 0
                break
            failures += 1
            assert code == (0 if "warning: " in said else 1), (nth, number)
            assert os.strerror(number) in said
            assert "Traceback" not in said
            kept = Path("run/checkpoint.safetensors")
            assert kept.read_bytes() == old or load(kept).position["pictures"] > 28
    assert failures > 3 * 25 / (1 if thorough else 4)
    assert resume("run") == 0


@pytest.mark.parametrize(
    "error",
    [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes.")],
)
def test_memory_that_does_not_suffice(train, monkeypatch, capsys, error):
    from layerkit.builtin.layers.conv2d import Conv2d
    from layerkit.training.trainer import Trainer

    def step(self: Trainer, *pair: Any) -> float:
        raise error

    monkeypatch.setattr(Trainer, "step", step)
    monkeypatch.setattr(Conv2d, "backward", lambda self, grad: grad)  # a layer must not be blamed
    monkeypatch.setattr("layerkit.training.inspection.Inspector.before_step", lambda self, *pair: None)
    assert train() == 1
    assert "error: not enough memory; use smaller batches" in capsys.readouterr().err


def test_the_folder_is_removed(train, monkeypatch, capsys):
    from layerkit.training.trainer import Trainer

    step = Trainer.step

    def removing(self: Trainer, *pair: Any) -> float:
        shutil.rmtree("run", ignore_errors=True)
        return step(self, *pair)

    monkeypatch.setattr(Trainer, "step", removing)
    assert train() == 1
    assert "error: run was removed or replaced while it was in use" in capsys.readouterr().err
    assert not Path("run").exists()
