from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.axes import Axes
from PIL import Image

from layerkit.drawing.loss_curve import loss_curve
from layerkit.drawing.sheet import DETAIL, GAP, LINE, WIDE_PANEL, comparison, montage
from layerkit.errors import RunError, ShapeError

BLUE, RED = (31, 111, 180), (192, 57, 43)


def read(path: Path) -> np.ndarray:
    """Return the PNG as (height, width, 3) integers."""
    with Image.open(path) as image:
        assert image.format == "PNG"
        return np.asarray(image.convert("RGB")).astype(int)


def pixels_of(picture: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    """Return the (row, column) of every pixel of this colour."""
    return np.argwhere((picture == colour).all(axis=2))


def colourful(count: int, channels: int = 3, height: int = 32, width: int = 32, seed: int = 0) -> torch.Tensor:
    return torch.rand(count, channels, height, width, generator=torch.Generator().manual_seed(seed))


def test_loss_curve_falls_when_the_loss_falls(tmp_path: Path) -> None:
    path = tmp_path / "loss.png"
    loss_curve(path, [10_000, 20_000, 30_000], [0.0057, 0.0050, 0.0048], "a run")
    line = pixels_of(read(path), BLUE)
    leftmost, rightmost = line[line[:, 1].argmin()], line[line[:, 1].argmax()]
    assert rightmost[0] > leftmost[0] + 100
    assert rightmost[1] > leftmost[1] + 300
    assert leftmost[1] > 220, "the axis must start at 0"


def test_losses_that_are_not_finite_are_marked(tmp_path: Path) -> None:
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
def test_loss_curve_of_a_single_point(tmp_path: Path, seen: list[int], losses: list[float]) -> None:
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


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("height", "width", "scale"), [(32, 32, 8), (7, 5, 36), (100, 60, 2), (1, 256, 1)])
def test_montage_shows_every_pixel_enlarged(tmp_path: Path, channels: int, height: int, width: int, scale: int) -> None:
    columns = [colourful(2, channels, height, width, seed) for seed in range(3)]
    montage(tmp_path / "montage.png", *columns)
    sheet = read(tmp_path / "montage.png")
    for column, pictures in enumerate(columns):
        for row, picture in enumerate(pictures):
            top, left = LINE + row * (height * scale + LINE), GAP + column * (width * scale + GAP)
            shown = sheet[top : top + height * scale, left : left + width * scale]
            wanted = picture.expand(3, height, width).permute(1, 2, 0).numpy().repeat(scale, 0).repeat(scale, 1) * 255
            assert np.abs(shown - wanted).max() <= 2


def test_montage_makes_a_large_picture_smaller(tmp_path: Path) -> None:
    noisy, denoised = torch.zeros(1, 3, 300, 512), torch.ones(1, 3, 300, 512)
    montage(tmp_path / "montage.png", noisy, denoised, noisy)
    sheet = read(tmp_path / "montage.png")
    assert sheet.shape[:2] == (LINE + 150 + LINE + LINE, GAP + 3 * (256 + GAP))
    assert (sheet[LINE : LINE + 150, GAP : GAP + 256] == 0).all()


def test_montage_draws_at_most_count_rows(tmp_path: Path) -> None:
    pictures = colourful(4)
    heights = []
    for count in (1, 3, 9):
        montage(tmp_path / "montage.png", pictures, pictures, pictures, count)
        heights.append(read(tmp_path / "montage.png").shape[0])
    assert heights == [LINE + rows * (256 + LINE) + LINE for rows in (1, 3, 4)]


def test_montage_without_clean_pictures_has_two_columns_and_no_psnr(tmp_path: Path) -> None:
    montage(tmp_path / "montage.png", colourful(2), colourful(2, seed=1), None)
    sheet = read(tmp_path / "montage.png")
    assert sheet.shape[:2] == (LINE + 2 * (256 + GAP), GAP + 2 * (256 + GAP))
    assert (sheet[LINE + 256 : LINE + 256 + GAP] == 255).all()


def test_montage_writes_the_psnr_of_what_it_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from matplotlib.axes import Axes

    written = []
    text = Axes.text
    monkeypatch.setattr(Axes, "text", lambda *args, **kw: (written.append(args[3]), text(*args, **kw))[1])
    clean = torch.stack([torch.full((1, 4, 4), 0.5), torch.full((1, 4, 4), 0.8)])
    noisy = clean + torch.tensor([0.1, 0.01]).view(2, 1, 1, 1)
    montage(tmp_path / "montage.png", noisy, clean, clean)
    assert written[:3] == ["noisy", "20.00 dB", "40.00 dB"]
    assert written[3:] == ["denoised", "identical", "identical", "clean", "PSNR against the clean picture"]
    # Values beyond white are shown, and measured, as white.
    written.clear()
    montage(tmp_path / "montage.png", torch.full((1, 1, 4, 4), 9.0), clean[:1], torch.full((1, 1, 4, 4), 0.9))
    assert written[1] == "20.00 dB"


def test_montage_leaves_the_pictures_alone(tmp_path: Path) -> None:
    noisy = colourful(2) * 3 - 1
    before = noisy.clone()
    montage(tmp_path / "montage.png", noisy, noisy, noisy)
    assert noisy.equal(before)


def test_montage_columns_must_agree(tmp_path: Path) -> None:
    with pytest.raises(ShapeError, match=r"must have one shape .*'clean': \(2, 3, 8, 8\)"):
        montage(tmp_path / "montage.png", torch.zeros(1, 3, 8, 8), torch.zeros(1, 3, 8, 8), torch.zeros(2, 3, 8, 8))


@pytest.mark.parametrize(("shape", "count"), [((0, 3, 8, 8), 5), ((1, 2, 8, 8), 5), ((3, 8, 8), 5), ((1, 3, 8, 8), 0)])
def test_montage_needs_pictures(tmp_path: Path, shape: tuple[int, ...], count: int) -> None:
    with pytest.raises(ShapeError, match=r"a montage needs at least one picture.*1 or 3 channels"):
        montage(tmp_path / "montage.png", torch.zeros(shape), torch.zeros(shape), None, count)


# Comparisons


def versions(height: int, width: int, channels: int = 3) -> dict[str, torch.Tensor]:
    return {name: colourful(1, channels, height, width, seed)[0] for seed, name in enumerate(("a", "b", "c"))}


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("height", "width", "scale"), [(32, 32, 10), (7, 5, 45), (2 * DETAIL, 100, 2), (1, 1, 320)])
def test_a_comparison_of_small_pictures_is_one_row(tmp_path: Path, channels, height, width, scale) -> None:
    pictures = versions(height, width, channels)
    comparison(tmp_path / "compare.png", pictures, "a note")
    sheet = read(tmp_path / "compare.png")
    assert sheet.shape[:2] == (LINE + height * scale + GAP + LINE, GAP + 3 * (width * scale + GAP))
    for column, picture in enumerate(pictures.values()):
        left = GAP + column * (width * scale + GAP)
        shown = sheet[LINE : LINE + height * scale, left : left + width * scale]
        wanted = picture.expand(3, height, width).permute(1, 2, 0).numpy().repeat(scale, 0).repeat(scale, 1) * 255
        assert np.abs(shown - wanted).max() <= 2


def test_a_comparison_of_large_pictures_has_the_middle_enlarged_below(tmp_path: Path) -> None:
    pictures = versions(200, 400)
    comparison(tmp_path / "compare.png", pictures, "a note")
    sheet = read(tmp_path / "compare.png")
    whole = WIDE_PANEL // 2
    assert sheet.shape[:2] == (LINE + whole + GAP + WIDE_PANEL + GAP + LINE, GAP + 3 * (WIDE_PANEL + GAP))
    scale = WIDE_PANEL // DETAIL
    for column, picture in enumerate(pictures.values()):
        top, left = LINE + whole + GAP, GAP + column * (WIDE_PANEL + GAP)
        shown = sheet[top : top + WIDE_PANEL, left : left + WIDE_PANEL]
        detail = picture[:, 60:140, 160:240].permute(1, 2, 0).numpy().repeat(scale, 0).repeat(scale, 1) * 255
        assert np.abs(shown - detail).max() <= 2


def test_a_frame_shows_where_the_middle_is(tmp_path: Path) -> None:
    black = torch.zeros(3, 200, 400)
    comparison(tmp_path / "compare.png", {"a": black}, "")
    sheet = read(tmp_path / "compare.png")
    assert sheet.shape[0] == LINE + 160 + GAP + WIDE_PANEL + GAP, "no note, no line for it"
    frame = np.argwhere(sheet[LINE : LINE + 160, GAP : GAP + 320].sum(2) > 300)
    assert np.abs(frame.min(0) - (48, 128)).max() <= 1
    assert np.abs(frame.max(0) - (112, 192)).max() <= 1


def test_a_comparison_of_tall_pictures_has_them_in_the_middle_of_their_columns(tmp_path: Path) -> None:
    comparison(tmp_path / "compare.png", {"a": torch.zeros(1, 400, 200)}, "")
    sheet = read(tmp_path / "compare.png")
    dark = np.argwhere((sheet[LINE : LINE + 320] == 0).all(2))
    assert (dark[:, 1].min(), dark[:, 1].max()) == (GAP + 80, GAP + 239)


@pytest.mark.parametrize(
    "shapes", [[], [(3, 8, 8), (3, 8, 9)], [(2, 8, 8)], [(1, 3, 8, 8)], [(3, 0, 8)], [(3, 8, 8), (1, 8, 8)]]
)
def test_what_cannot_be_compared(tmp_path: Path, shapes: list[tuple[int, ...]]) -> None:
    with pytest.raises(ShapeError, match=r"a comparison needs pictures of one shape \(1 or 3, H, W\), not \{"):
        comparison(tmp_path / "compare.png", {str(n): torch.zeros(shape) for n, shape in enumerate(shapes)}, "")
    assert not list(tmp_path.iterdir())


def test_a_figure_replaces_the_old_one_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "loss.png"
    path.write_text("old")
    loss_curve(str(path), [1], [0.5], "a run")
    assert read(path).any()
    assert list(tmp_path.iterdir()) == [path]


def test_a_figure_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
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
