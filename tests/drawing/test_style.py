from __future__ import annotations

from pathlib import Path

import pytest

from layerkit.drawing.loss_curve import loss_curve
from layerkit.drawing.montage import montage
from layerkit.errors import RunError


def test_a_figure_replaces_the_old_one_and_leaves_nothing_else(tmp_path: Path, read) -> None:
    path = tmp_path / "loss.png"
    path.write_text("old")
    loss_curve(str(path), [1], [0.5], "a run")
    assert read(path).any()
    assert list(tmp_path.iterdir()) == [path]


def test_a_figure_that_cannot_be_written_is_a_sentence(tmp_path: Path, colourful) -> None:
    with pytest.raises(RunError, match="cannot be written: Is a directory"):
        loss_curve(tmp_path, [1], [0.5], "a run")
    with pytest.raises(RunError, match="cannot be written: Is a directory"):
        montage(tmp_path, colourful(1), colourful(1), None)
    assert not list(tmp_path.iterdir())


def test_a_failed_write_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_) -> None:
        raise OSError("disk full")

    path = tmp_path / "loss.png"
    path.write_text("old")
    monkeypatch.setattr("os.replace", full)
    with pytest.raises(RunError, match=r"loss\.png cannot be written: disk full"):
        loss_curve(path, [1], [0.5], "a run")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
