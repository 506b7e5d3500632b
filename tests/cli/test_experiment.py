"""Real sweeps: killed, stopped, shared by real processes, and drawn again."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from stopping import stop_after

from layerkit.cli import run

LRS = [0.01, 0.02, 0.03, 0.04]


@pytest.fixture
def command(tiny, tmp_path) -> Callable[..., list[object]]:
    """Return a function that gives the arguments of a sweep of four trainings."""
    (tmp_path / "tiny.json").write_text(json.dumps(tiny.tree()))

    def command(folder: str = "report", epochs: int = 1, **values: Any) -> list[object]:
        tree = {
            "format": 1,
            "name": "rates",
            "title": "Rates",
            "base": "tiny.json",
            "set": {"training.epochs": epochs},
            "vary": {"training.optimizer.lr": LRS},
            "figure": {"type": "curve", "x": "training.optimizer.lr"},
            **values,
        }
        path = tmp_path / "rates.json"
        path.write_text(json.dumps(tree))
        return ["experiment", path, "--data", tiny.data, "--output", tmp_path / folder]

    return command


def results(folder: Path) -> dict[float, dict[str, Any]]:
    """Return what matters of every result, by learning rate."""
    found = [json.loads(path.read_text()) for path in (folder / "results").glob("*.json")]
    return {
        tree["architecture"]["training"]["optimizer"]["lr"]: {
            "status": tree["status"],
            "denoised": tree["denoised"],
            "epochs": [epoch["quality"] for epoch in tree["epochs"]],
        }
        for tree in found
    }


def strings(arguments: list[object]) -> list[str]:
    return [str(argument) for argument in arguments]


def test_a_sweep_from_files_to_page_and_drawn_again(command, tmp_path, capsys):
    arguments = strings(command())
    assert run(arguments) == 0
    output = capsys.readouterr().out
    assert "1/4 rates: training.optimizer.lr = 0.01, seed 0: " in output
    assert output.endswith(f"written: {tmp_path / 'report' / 'report.html'}\n")
    made = {path: path.stat().st_mtime_ns for path in (tmp_path / "report" / "results").iterdir()}
    assert len(made) == 4
    (tmp_path / "report" / "report.html").unlink()
    assert run([*arguments, "--redraw", "--quiet"]) == 0
    assert capsys.readouterr().out == f"written: {tmp_path / 'report' / 'report.html'}\n"
    assert "0.04" in (tmp_path / "report" / "report.html").read_text()
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "report" / "results").iterdir()} == made


def test_redraw_trains_nothing_and_says_what_is_missing(command, tmp_path):
    assert run([*strings(command()), "--redraw"]) == 0
    assert not (tmp_path / "report" / "results").exists()
    assert "4 trials have no result yet." in (tmp_path / "report" / "report.html").read_text()


def test_killed_at_any_moment_the_sweep_goes_on(command, start, tmp_path):
    assert start(*command("whole", epochs=4)).finish() == 0
    for done, later in ((0, 6), (1, 14), (3, 28)):
        started, report = start(*command(epochs=4)), tmp_path / "report"
        changes = started.changes()
        assert any(len(results(report)) == done and running(report) for _ in changes)
        assert len(list(islice(changes, later))) == later  # in the metrics of the next epoch, or its checkpoint
        started.process.kill()
        assert started.finish() == -signal.SIGKILL
    assert start(*command(epochs=4)).finish() == 0
    assert results(tmp_path / "report") == results(tmp_path / "whole")
    assert not list((tmp_path / "report").rglob(".*.tmp"))


def running(folder: Path) -> int:
    """Return how many trials without a result have made at least one epoch."""
    done = {path.stem for path in (folder / "results").glob("*.json")}
    return sum(path.parent.name not in done for path in (folder / "runs").glob("*/checkpoint.safetensors"))


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_saves_and_stops(command, start, tmp_path, number, code):
    started = start(*command(epochs=100_000))
    assert any(running(tmp_path / "report") for _ in started.changes())
    os.kill(started.process.pid, number)
    assert started.finish() == code
    assert results(tmp_path / "report") == {}


def test_a_stop_says_the_sweep_s_own_command(command, tiny, tmp_path, capsys, monkeypatch):
    arguments = strings(command())
    arguments.insert(4, "--quick")
    with monkeypatch.context() as patch:
        stop_after(patch, 13)
        assert run(["--without", "optimizers", *arguments]) == 143
    said = capsys.readouterr().err
    assert re.match(r"stopped and saved after 12 pictures in \d+ s; go on with: ", said)
    assert shlex.split(said.partition("go on with: ")[2]) == [
        *("layerkit", "--without", "optimizers", "experiment", str(tmp_path / "rates.json")),
        *("--data", str(tiny.data), "--quick", "--output", str(tmp_path / "report")),
    ]


def test_a_resumed_sweep_counts_from_where_it_is(command, capsys, monkeypatch):
    arguments = strings(command())
    with monkeypatch.context() as patch:
        stop_after(patch, 25)
        assert run(arguments) == 143
    said = capsys.readouterr().out
    assert "have their results" not in said
    assert [line.split()[0] for line in said.splitlines()] == ["on", "1/4", "2/4"]
    assert run(arguments) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[1] == "2 of 4 trainings have their results"
    assert [line.split()[0] for line in said[2:-1]] == ["3/4", "4/4"]


def test_a_training_of_two_experiments_counts_once(command, tmp_path, capsys):
    arguments = strings(command())
    other = json.loads((tmp_path / "rates.json").read_text())
    other |= {"name": "again", "vary": {"training.optimizer.lr": [0.04, 0.05]}}
    (tmp_path / "again.json").write_text(json.dumps(other))
    arguments.insert(1, str(tmp_path / "again.json"))
    assert run(arguments) == 0
    numbers = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert numbers[1:-1] == ["1/5", "2/5", "3/5", "4/5", "5/5"]


def test_a_training_that_another_experiment_times_is_timed_at_once(command, tmp_path, capsys):
    arguments = strings(command())
    other = json.loads((tmp_path / "rates.json").read_text()) | {"name": "timed", "timed": True}
    (tmp_path / "timed.json").write_text(json.dumps(other))
    arguments.insert(2, str(tmp_path / "timed.json"))
    assert run(arguments) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()[1:-1]] == ["1/4", "2/4", "3/4", "4/4"]


def test_a_run_that_train_has_finished_is_taken_as_it_is(command, tmp_path, monkeypatch):
    assert run(strings(command("whole"))) == 0
    arguments = strings(command())
    with monkeypatch.context() as patch:
        stop_after(patch, 3)
        assert run(arguments) == 143
    (folder,) = (tmp_path / "report" / "runs").iterdir()
    assert run(["train", "--resume", str(folder)]) == 0
    with monkeypatch.context() as patch:
        stop_after(patch, 31)  # the other three take thirty steps
        assert run(arguments) == 0
    assert results(tmp_path / "report") == results(tmp_path / "whole")


def test_two_processes_share_the_trials(command, start, tmp_path):
    first, second = (start(*command(epochs=4)) for _ in range(2))
    assert any(running(tmp_path / "report") == 1 for _ in first.changes())
    assert any(running(tmp_path / "report") == 2 for _ in second.changes())  # while the first stands in its trial
    assert [first.finish(), second.finish()] == [0, 0]
    assert [result["status"] for result in results(tmp_path / "report").values()] == ["done"] * len(LRS)
    # None is trained twice.
    for metrics in (tmp_path / "report" / "runs").glob("*/metrics.jsonl"):
        assert metrics.read_text().count('"event": "epoch"') == 4


def test_a_trial_that_diverges_stops_nothing_and_is_shown(command, tmp_path, capsys):
    assert run(strings(command(vary={"training.optimizer.lr": [0.01, 1e6]}))) == 0
    assert "lr = 1000000.0, seed 0: diverged (" in capsys.readouterr().out
    text = (tmp_path / "report" / "report.html").read_text()
    assert "<td>diverged</td>" in text and "try a smaller learning rate" in text


def test_an_experiment_that_needs_pictures_is_left_out_for_pairs(command, tmp_path, capsys):
    assert run(strings(command(pictures_only=True))) == 0
    assert "rates: left out: it needs clean pictures that noise is added to" in capsys.readouterr().out
    assert "Left out: it needs clean pictures" in (tmp_path / "report" / "report.html").read_text()
    assert not (tmp_path / "report" / "results").exists()


def test_mistakes_end_with_2_before_anything_is_trained(command, tmp_path, capsys):
    arguments = strings(command(vary={"training.optimizer.lr": [0.01, -1]}))
    assert run(arguments) == 2
    assert "rates.json:1:" in (error := capsys.readouterr().err) and 'vary["training.optimizer.lr"][1]' in error
    arguments = strings(command())
    assert run([*arguments[:2], arguments[1], *arguments[2:]]) == 2
    assert 'two experiments are named "rates"' in capsys.readouterr().err
    arguments[3] = str(tmp_path / "nothing.npz")
    assert run(arguments) == 2
    assert "no such file or folder" in capsys.readouterr().err
    assert not (tmp_path / "report").exists()


def test_without_jinja2_it_says_what_to_install(command, monkeypatch, capsys):
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setattr("layerkit.environment.find_spec", lambda name: None if name == "jinja2" else find(name))
    assert run(strings(command())) == 2
    assert capsys.readouterr().err == "error: experiments need jinja2: pip install 'layerkit[experiments]'\n"
