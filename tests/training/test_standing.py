"""What a run's folder holds belongs together, or nobody goes on with it."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
import safetensors.torch
import torch

from layerkit.checkpoints.checkpoint import load, save
from layerkit.errors import CheckpointError, StoppedError, UserError
from layerkit.registry.catalogue import installed
from layerkit.spec.loading import load_architecture
from layerkit.training.run import Run, Settings
from layerkit.training.save_interval import SaveInterval
from layerkit.training.session import Session
from layerkit.training.standing import standing_of

FILES = {"A": "architecture.json", "C": "checkpoint.safetensors", "M": "metrics.jsonl"}

TABLE = """
                          |           --resume               |            FILE --output
                          |  M: same  missing foreign edited |  M: same  missing foreign edited
A: same     C: same       |     on      note    M       M    |     on      note    M       M
            C: missing    |     gone    new     gone    gone |     gone    new     gone    gone
            C: foreign    |     A/C     A/C     A/C     A/C  |     A/C     A/C     A/C     A/C
            C: edited     |     sum     sum     sum     sum  |     sum     sum     sum     sum
A: missing  C: same       |     none    none    none    none |     parts   parts   parts   parts
            C: missing    |     none    none    none    none |     parts   new     parts   parts
            C: foreign    |     none    none    none    none |     parts   parts   parts   parts
            C: edited     |     none    none    none    none |     parts   parts   parts   parts
A: foreign  C: same       |     A/C     A/C     A/C     A/C  |     taken   taken   taken   taken
            C: missing    |     gone    new     gone    gone |     taken   new     taken   taken
            C: foreign    |     M       note    on      M    |     taken   taken   taken   taken
            C: edited     |     sum     sum     sum     sum  |     taken   taken   taken   taken
A: edited   C: same       |     A/C     A/C     A/C     A/C  |     taken   taken   taken   taken
            C: missing    |     gone    new     gone    gone |     taken   new     taken   taken
            C: foreign    |     A/C     A/C     A/C     A/C  |     taken   taken   taken   taken
            C: edited     |     sum     sum     sum     sum  |     taken   taken   taken   taken
"""
"""What comes of every state of a run's three files, with the settings of the run beside them.

"foreign" is a file of another run, with other layers; "edited" is the run's own file with one value changed.
"""

MESSAGES = {
    "A/C": r"the files in .* are not of one run: .* in architecture.json and .* in checkpoint.safetensors; put back",
    "M": r"are not of one run: metrics.jsonl is not the one that checkpoint.safetensors was saved with, at \d+ bytes",
    "gone": r"checkpoint.safetensors is missing, but metrics.jsonl belongs to a training that had one; put it back, or",
    "sum": r"checkpoint.safetensors is damaged: its content does not match its checksum",
    "none": r"holds no run; give a folder that layerkit train has written",
    "parts": r"is there already, without the architecture.json of its run; put that back, choose another folder",
    "taken": r"already holds another run: .* is .* there and .* here; choose another folder with --output",
}
GOES_ON = {"on": (2, False), "note": (2, True), "new": (0, False)}
"""In which epoch a run goes on, and whether its metrics are lost."""


class Case(NamedTuple):
    command: str
    files: dict[str, str]
    outcome: str


def cases() -> list[Case]:
    """Return the rows of the table."""
    found, architecture = [], ""
    for line in TABLE.strip("\n").split("\n")[2:]:
        head, *columns = line.split("|")
        states = head.replace("A:", "").split("C:")
        architecture = states[0].strip() or architecture
        for command, column in zip(("resume", "start"), columns, strict=True):
            for metrics, outcome in zip(("same", "missing", "foreign", "edited"), column.split(), strict=True):
                files = {"A": architecture, "C": states[1].strip(), "M": metrics}
                found.append(Case(command, files, outcome))
    return found


def stopped(folder: Path, steps: int) -> None:
    """Train a run until a number of steps is done in all."""
    with Run.open(folder) as run:
        session = Session.open(run, installed(), SaveInterval(steps=steps))
        with pytest.raises(StoppedError):
            list(session.events(lambda: signal.SIGTERM if session.curve.pictures == 4 * steps else None))


def finished(folder: Path) -> Session:
    with Run.open(folder) as run:
        session = Session.open(run, installed())
        list(session.events())
        run.record_end()
    return session


@pytest.fixture(scope="module")
def runs(tmp_path_factory, tiny) -> Path:
    """Return a folder with two runs in their third epoch, and one of them to its end."""
    folder = tmp_path_factory.mktemp("runs")
    trees = {"own": tiny.tree(epochs=3), "other": tiny.tree(epochs=3, seed=7)}
    trees["other"]["layers"][0]["out_channels"] = 5
    for name, tree in trees.items():
        Run.start(folder / name, load_architecture(json.dumps(tree)), Settings(data=str(tiny.data))).close()
        stopped(folder / name, 23)
    shutil.copytree(folder / "own", folder / "whole")
    finished(folder / "whole")
    return folder


@pytest.fixture
def prepared(tmp_path, runs) -> Callable[[dict[str, str]], Path]:
    """Return a function that makes a copy of the run with its files in the states that are asked for."""
    made = []

    def prepared(states: dict[str, str]) -> Path:
        folder = Path(shutil.copytree(runs / "own", tmp_path / f"run-{len(made)}"))
        made.append(folder)
        for file, state in states.items():
            path = folder / FILES[file]
            if state == "missing":
                path.unlink()
            elif state == "foreign":
                shutil.copy(runs / "other" / FILES[file], path)
            elif state == "edited":
                path.write_bytes(edited(file, path.read_bytes()))
        return folder

    return prepared


def edited(file: str, data: bytes) -> bytes:
    if file == "C":
        return data[:-1] + bytes([data[-1] ^ 1])
    old, new = {"A": (b'"lr": 0.05', b'"lr": 0.07'), "M": (b'"epoch": 1,', b'"epoch": 7,')}[file]
    assert data.count(old) == 1
    return data.replace(old, new)


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def opened(command: str, folder: Path, runs: Path) -> Run:
    """Return the run that a command trains."""
    if command == "resume":
        return Run.open(folder)
    with Run.open(runs / "own") as own:
        settings = own.read_settings()
    return Run.start(folder, load_architecture(runs / "own" / FILES["A"]), settings)


def test_the_table_has_every_case_once() -> None:
    assert len({(case.command, *case.files.values()) for case in cases()}) == len(cases()) == 2 * 4**3


@pytest.mark.parametrize("outcome", MESSAGES)
def test_files_that_contradict_each_other_are_an_error_and_stay_as_they_are(prepared, runs, outcome):
    chosen = [case for case in cases() if case.outcome == outcome]
    assert chosen
    for case in chosen:
        folder = prepared(case.files)
        before = content(folder)
        with pytest.raises(UserError, match=MESSAGES[outcome]) as error, opened(case.command, folder, runs) as run:
            Session.open(run, installed())
        assert error.value.exit_code == 2
        assert content(folder) == before, case


@pytest.mark.parametrize("case", [case for case in cases() if case.outcome in GOES_ON], ids=str)
def test_files_that_do_not_are_gone_on_with(prepared, runs, case):
    folder = prepared(case.files)
    with opened(case.command, folder, runs) as run:
        session = Session.open(run, installed())
        assert (session.position.epoch, session.metrics_lost) == GOES_ON[case.outcome]
    session = finished(folder)
    assert load(folder / FILES["C"]).architecture == session.architecture
    if "foreign" not in case.files.values() and case.files["A"] != "edited":
        ours, theirs = (safetensors.torch.load_file(path / FILES["C"]) for path in (folder, runs / "whole"))
        assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_lost_metrics_do_not_come_to_be_foreign_when_the_run_is_interrupted_again(prepared, monkeypatch):
    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    folder = prepared({"M": "missing"})
    with Run.open(folder) as run:
        events = Session.open(run, installed()).events()
        for _ in range(7):
            next(events)
        # As if killed when the end of the epoch was recorded, and not yet saved.
        monkeypatch.setattr("layerkit.training.session.save", killed)
        with pytest.raises(KeyboardInterrupt):
            next(events)
    monkeypatch.undo()
    assert (folder / FILES["M"]).read_text().startswith('{"event": "epoch"')
    stopped_at = load(folder / FILES["C"]).position
    assert (stopped_at["epoch"], stopped_at["batch"], stopped_at["metrics"]) == (2, 3, 0)
    finished(folder)
    with Run.open(folder) as run:
        assert [event["event"] for event in run.events()] == ["epoch", "end"]
        Session.open(run, installed())


def test_metrics_of_more_than_a_checkpoint_from_before_the_first_are_of_another_run(tmp_path, prepared, tiny):
    Run.start(tmp_path / "early", load_architecture(json.dumps(tiny.tree(epochs=3))), Settings(data="-")).close()
    folder = prepared({})
    shutil.copy(folder / "run.json", tmp_path / "early")
    stopped(tmp_path / "early", 3)
    shutil.copy(tmp_path / "early" / FILES["C"], folder)
    with Run.open(folder) as run, pytest.raises(UserError, match=r"metrics.jsonl is not the one .*, at 0 bytes"):
        Session.open(run, installed())


def test_an_older_checkpoint_of_the_same_run_is_gone_on_with(prepared, runs):
    folder = prepared({})
    old = (folder / FILES["C"]).read_bytes()
    finished(folder)
    (folder / FILES["C"]).write_bytes(old)
    finished(folder)
    ours, theirs = (safetensors.torch.load_file(path / FILES["C"]) for path in (folder, runs / "whole"))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_the_number_of_epochs_is_that_of_the_run_s_file(prepared):
    folder = prepared({})
    with Run.open(folder) as run:
        next(Session.open(run, installed(), epochs=5).events())  # as if killed in the first step of the longer training
    with Run.open(folder) as run:
        assert standing_of(run, installed()).architecture.trained.epochs == 5
        assert load(run.checkpoint).architecture.trained.epochs == 3
        assert Session.open(run, installed()).architecture.trained.epochs == 5


def test_a_checkpoint_without_a_checksum_of_the_metrics_is_gone_on_with(prepared):
    folder = prepared({"M": "edited"})
    held = load(folder / FILES["C"])
    position = {name: value for name, value in held.position.items() if name != "metrics_sha256"}
    save(folder / FILES["C"], held.network, held.architecture, position=position)
    with Run.open(folder) as run:
        assert standing_of(run, installed()).position.metrics == held.position["metrics"]


@pytest.mark.parametrize("changed", [{"data": "photos"}, {"clean_targets": True}], ids=str)
def test_settings_that_were_changed_by_hand_are_an_error(prepared, changed):
    folder = prepared({})
    with Run.open(folder) as run:
        run.write_settings(run.read_settings().model_copy(update=changed))
        with pytest.raises(
            UserError, match=rf"{next(iter(changed))} is .* in run.json and .* in checkpoint.safetensors"
        ):
            Session.open(run, installed())


def test_a_checkpoint_without_the_settings_is_gone_on_with(prepared):
    folder = prepared({})
    held = load(folder / FILES["C"])
    position = {name: value for name, value in held.position.items() if name != "settings"}
    save(folder / FILES["C"], held.network, held.architecture, position=position)
    with Run.open(folder) as run:
        assert standing_of(run, installed()).position.epoch == held.position["epoch"]


def test_a_checkpoint_without_a_position(prepared):
    folder = prepared({})
    held = load(folder / FILES["C"])
    save(folder / FILES["C"], held.network, held.architecture, position={"epoch": -1})
    with Run.open(folder) as run, pytest.raises(CheckpointError, match="does not say how far the training had come"):
        standing_of(run, installed())
