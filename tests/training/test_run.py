from __future__ import annotations

import errno
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest

from layerkit import disk
from layerkit.errors import FolderInUseError, FolderTakenError, RunError, UserError
from layerkit.spec.architecture import Architecture
from layerkit.spec.loading import load_architecture
from layerkit.training.run import Run, Settings

PHOTOS = Settings(data="photos")


@pytest.fixture
def architecture(tiny) -> Architecture:
    return load_architecture(json.dumps(tiny.tree()))


def trained(folder: Path) -> None:
    """Make it a run in which something would be lost."""
    (folder / "checkpoint.safetensors").write_bytes(b"")


def test_a_new_run(tmp_path, architecture):
    with Run.start(tmp_path / "a" / "run", architecture, PHOTOS) as run:
        assert json.loads(run.architecture.read_text()) == json.loads(architecture.to_json())
        assert run.read_settings() == PHOTOS
        assert run.events() == []
        assert not run.finished
        assert sorted(os.listdir(run.folder)) == [".lock", "architecture.json", "metrics.jsonl", "run.json"]


def test_the_same_run_is_continued(tmp_path, architecture):
    with Run.start(tmp_path / "run", architecture, PHOTOS) as run:
        run.record("loss", {"loss": 1.0})
        trained(run.folder)
    with Run.start(tmp_path / "run", architecture, PHOTOS) as again:
        assert again.events() == [{"event": "loss", "loss": 1.0}]


def test_other_versions_of_the_packages_make_no_other_run(tmp_path, architecture):
    with Run.start(tmp_path / "run", architecture, PHOTOS) as run:
        trained(run.folder)
    newer = architecture.model_copy(update={"requires": {"layer": {"relu": "layerkit==9.9"}}})
    Run.start(tmp_path / "run", newer, PHOTOS).close()


@pytest.mark.parametrize("change", ["spec", "data"])
def test_another_run_is_kept(tmp_path, tiny, architecture, change):
    with Run.start(tmp_path / "run", architecture, PHOTOS) as run:
        trained(run.folder)
        before = run.architecture.read_bytes()
    other = load_architecture(json.dumps(tiny.tree(seed=1))) if change == "spec" else architecture
    settings = PHOTOS if change == "spec" else Settings(data="photos", clean_targets=True)
    what = "training.seed is 0 there and 1 here" if change == "spec" else "clean_targets is false there and true here"
    with pytest.raises(UserError, match=f"already holds another run: {what}; choose another folder"):
        Run.start(tmp_path / "run", other, settings)
    assert run.architecture.read_bytes() == before
    Run.open(tmp_path / "run").close()  # the lock was released


def test_a_run_in_which_nothing_was_trained_gives_way(tmp_path, tiny, architecture):
    Run.start(tmp_path / "run", architecture, Settings(data="a mistake")).close()
    with Run.start(tmp_path / "run", architecture, PHOTOS) as run:
        assert run.read_settings() == PHOTOS


def test_a_finished_run_is_kept(tmp_path, architecture):
    with Run.start(tmp_path / "run", architecture, PHOTOS) as run:
        trained(run.folder)
        run.record_end()
        assert run.finished
    with pytest.raises(UserError, match=r"holds this run, finished; .* layerkit train --resume .*run --epochs N"):
        Run.start(tmp_path / "run", architecture, PHOTOS)


def test_a_file_of_somebody_else_is_kept(tmp_path, architecture):
    (tmp_path / "architecture.json").write_text("{}")
    with pytest.raises(UserError, match=r"architecture.json is there already, and is not part of a run"):
        Run.start(tmp_path, architecture, PHOTOS)
    assert (tmp_path / "architecture.json").read_text() == "{}"


@pytest.mark.parametrize("text", ["", "{", "[1]", "3", "\ud800".encode("utf-8", "surrogatepass"), '{"format": 1}'])
@pytest.mark.parametrize("name", ["run.json", "architecture.json"])
def test_damaged_files_are_no_run_of_ours(tmp_path, architecture, name, text):
    with Run.start(tmp_path / "run", architecture, PHOTOS) as run:
        trained(run.folder)
    (tmp_path / "run" / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(
        UserError, match=r"already holds another run: (its architecture.json or run.json cannot|name is)"
    ):
        Run.start(tmp_path / "run", architecture, PHOTOS)


@pytest.mark.parametrize("name", ["checkpoint.safetensors", "metrics.jsonl"])
def test_parts_of_a_run_are_kept(tmp_path, architecture, name):
    (tmp_path / name).write_bytes(b"of another run")
    message = f"{name} is there already, without the architecture.json of its run; put that back, choose another folder"
    with pytest.raises(FolderTakenError, match=message):
        Run.start(tmp_path, architecture, PHOTOS)
    assert os.listdir(tmp_path) == [name]


def test_a_run_that_was_killed_when_it_had_just_begun_begins_again(tmp_path, architecture):
    (tmp_path / "metrics.jsonl").write_bytes(b"")
    Run.start(tmp_path, architecture, PHOTOS).close()


def test_the_checksum_of_metrics_is_that_of_their_beginning(tmp_path, architecture):
    with Run.start(tmp_path / "run", architecture, PHOTOS) as run:
        run.metrics.write_bytes(b"abc\ndef\n")
        assert run.metrics_checksum(4) == hashlib.sha256(b"abc\n").hexdigest()
        assert run.metrics_checksum(9) == ""
        run.metrics.unlink()
        assert run.metrics_checksum(0) == ""


def test_names_of_runs(tmp_path, tiny, architecture):
    folders = []
    for _ in range(3):
        with Run.start_in(tmp_path, architecture, PHOTOS) as run:
            trained(run.folder)
            run.record_end()
            folders.append(run.folder.name)
    assert folders == ["tiny", "tiny-2", "tiny-3"]
    strange = load_architecture(json.dumps(tiny.tree() | {"name": "../../a b/\u00e4" + "x" * 150}))
    with Run.start_in(tmp_path, strange, PHOTOS) as run:
        assert run.folder.parent == tmp_path
        assert len(run.folder.name) <= 100


def test_an_unfinished_run_is_found_and_a_busy_one_left_alone(tmp_path, architecture):
    with Run.start_in(tmp_path, architecture, PHOTOS) as run:
        trained(run.folder)
        with Run.start_in(tmp_path, architecture, PHOTOS) as second:
            assert second.folder.name == "tiny-2"
    with Run.start_in(tmp_path, architecture, PHOTOS) as again:
        assert again.folder.name == "tiny"


def test_two_cannot_train_in_one_folder(tmp_path, architecture):
    with Run.start(tmp_path / "run", architecture, PHOTOS):
        with pytest.raises(FolderInUseError):
            Run.open(tmp_path / "run")
        with pytest.raises(FolderInUseError):
            Run.start(tmp_path / "run", architecture, PHOTOS)
    Run.open(tmp_path / "run").close()


@pytest.mark.parametrize("name", [".", "missing"])
def test_a_folder_without_a_run(tmp_path, name):
    with pytest.raises(UserError, match="holds no run; give a folder that layerkit train has written"):
        Run.open(tmp_path / name)


def test_a_folder_that_cannot_be_made(tmp_path, architecture):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot be made: "):
        Run.start(tmp_path / "file" / "run", architecture, PHOTOS)


def test_metrics_are_rewound(tmp_path, architecture):
    with Run.start(tmp_path / "run", architecture, PHOTOS) as run:
        size = run.record("loss", {"loss": 1.0})
        run.record("loss", {"loss": 2.0})
        run.rewind(size)
        assert run.events() == [{"event": "loss", "loss": 1.0}]
        run.rewind(10**9)
        assert len(run.events()) == 1
        run.metrics.unlink()
        run.rewind(size)
        assert run.events() == []


def test_lines_that_cannot_be_read_are_left_out(tmp_path, architecture):
    with Run.start(tmp_path / "run", architecture, PHOTOS) as run:
        run.metrics.write_bytes(b'{"event": "loss"}\n{"eve\n[1]\n\xff\n' + b"[" * 100_000 + b'\n{"event": "end"')
        assert run.events() == [{"event": "loss"}]
        assert not run.finished


def test_what_a_full_disk_has_left_of_a_line_does_not_stay(tmp_path, architecture, monkeypatch):
    class Full:
        """The ``os`` of a disk that has room for ten bytes more."""

        def __init__(self) -> None:
            self.room = 10

        def __getattr__(self, name: str) -> Any:
            return self.written if name == "write" else getattr(os, name)

        def written(self, descriptor: int, data: memoryview) -> int:
            if not self.room:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            count = os.write(descriptor, data[: self.room])
            self.room -= count
            return count

    with Run.start(tmp_path / "run", architecture, PHOTOS) as run:
        run.record("loss", {"loss": 1.0})
        with monkeypatch.context() as patch:
            patch.setattr(disk, "os", Full())
            with pytest.raises(RunError, match=r"metrics.jsonl cannot be written: No space left on device"):
                run.record("loss", {"loss": 2.0})
        assert run.metrics.read_bytes().endswith(b'\n{"event": ')
        assert not run.finished
        run.record_end()
        assert [json.loads(line)["event"] for line in run.metrics.read_text().splitlines()] == ["loss", "end"]


def test_settings_that_are_gone(tmp_path, architecture):
    with Run.start(tmp_path / "run", architecture, PHOTOS) as run:
        run.settings.unlink()
        with pytest.raises(UserError, match=r"run.json is missing or damaged"):
            run.read_settings()


def test_leftovers_are_removed(tmp_path, architecture):
    Run.start(tmp_path / "run", architecture, PHOTOS).close()
    (tmp_path / "run" / ".checkpoint.safetensors.abc.tmp").write_bytes(b"half")
    Run.open(tmp_path / "run").close()
    assert not list((tmp_path / "run").glob(".*.tmp"))
