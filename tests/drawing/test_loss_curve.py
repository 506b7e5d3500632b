from __future__ import annotations

import math
from pathlib import Path

import pytest
from matplotlib.axes import Axes

from layerkit.drawing.loss_curve import loss_curve
from layerkit.errors import ShapeError

BLUE, RED = (31, 111, 180), (192, 57, 43)


def test_loss_curve_falls_when_the_loss_falls(tmp_path: Path, read, pixels_of) -> None:
    path = tmp_path / "loss.png"
    loss_curve(path, [10_000, 20_000, 30_000], [0.0057, 0.0050, 0.0048], "a run")
    line = pixels_of(read(path), BLUE)
    leftmost, rightmost = line[line[:, 1].argmin()], line[line[:, 1].argmax()]
    assert rightmost[0] > leftmost[0] + 100
    assert rightmost[1] > leftmost[1] + 300
    assert leftmost[1] > 220, "the axis must start at 0"


def test_losses_that_are_not_finite_are_marked(tmp_path: Path, read, pixels_of) -> None:
    path = tmp_path / "loss.png"
    loss_curve(path, [1, 2], [0.5, 0.4], "a run")
    assert not len(pixels_of(read(path), RED))
    loss_curve(path, [1, 2, 3, 4], [0.5, 0.4, math.nan, math.inf], "a run")
    picture = read(path)
    marks, line = pixels_of(picture, RED), pixels_of(picture, BLUE)
    assert len(marks)
    # What diverged lies at the right of what did not: the axis covers the whole run.
    assert line[:, 1].max() < marks[marks[:, 0] > 100][:, 1].min()


@pytest.mark.parametrize("losses", [[0.3], [math.nan]])
@pytest.mark.parametrize("seen", [[0], [5]])
def test_loss_curve_of_a_single_point(tmp_path: Path, seen: list[int], losses: list[float], read) -> None:
    loss_curve(tmp_path / "loss.png", seen, losses, "a run")
    assert read(tmp_path / "loss.png").std() > 0


def test_a_long_loss_curve_is_smoothed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = []
    monkeypatch.setattr(Axes, "plot", lambda self, x, y, *_, **style: drawn.append((list(x), list(y), style)))
    monkeypatch.setattr(Axes, "legend", lambda self, **_: None)
    loss_curve(tmp_path / "loss.png", range(1, 31), [float(index % 10) for index in range(30)], "saw")
    (_, losses, pale), (seen, means, bold) = drawn
    assert losses == [float(index % 10) for index in range(30)]
    assert (seen, means) == (list(range(10, 31)), [4.5] * 21)
    assert pale["linewidth"] < bold["linewidth"]


def test_a_title_is_text_not_markup(tmp_path: Path) -> None:
    loss_curve(tmp_path / "loss.png", [1], [0.5], r"$\nonsense{$")
    assert (tmp_path / "loss.png").exists()


@pytest.mark.parametrize(("seen", "losses"), [([], []), ([1, 2], [0.5])])
def test_loss_curve_needs_points(tmp_path: Path, seen: list[int], losses: list[float]) -> None:
    with pytest.raises(ShapeError, match=rf"at least one point.*not {len(seen)} counts and {len(losses)} losses"):
        loss_curve(tmp_path / "loss.png", seen, losses, "a run")
    assert not list(tmp_path.iterdir())
