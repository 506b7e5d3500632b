from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from layerkit.drawing.montage import montage
from layerkit.drawing.sheet import GAP, LINE
from layerkit.errors import ShapeError


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("height", "width", "scale"), [(32, 32, 8), (7, 5, 36), (100, 60, 2), (1, 256, 1)])
def test_montage_shows_every_pixel_enlarged(
    tmp_path: Path, channels: int, height: int, width: int, scale: int, read, colourful
) -> None:
    columns = [colourful(2, channels, height, width, seed) for seed in range(3)]
    montage(tmp_path / "montage.png", *columns)
    sheet = read(tmp_path / "montage.png")
    for column, pictures in enumerate(columns):
        for row, picture in enumerate(pictures):
            top, left = LINE + row * (height * scale + LINE), GAP + column * (width * scale + GAP)
            shown = sheet[top : top + height * scale, left : left + width * scale]
            wanted = picture.expand(3, height, width).permute(1, 2, 0).numpy().repeat(scale, 0).repeat(scale, 1) * 255
            assert np.abs(shown - wanted).max() <= 2


def test_montage_makes_a_large_picture_smaller(tmp_path: Path, read) -> None:
    noisy, denoised = torch.zeros(1, 3, 300, 512), torch.ones(1, 3, 300, 512)
    montage(tmp_path / "montage.png", noisy, denoised, noisy)
    sheet = read(tmp_path / "montage.png")
    assert sheet.shape[:2] == (LINE + 150 + LINE + LINE, GAP + 3 * (256 + GAP))
    assert (sheet[LINE : LINE + 150, GAP : GAP + 256] == 0).all()


def test_montage_draws_at_most_count_rows(tmp_path: Path, read, colourful) -> None:
    pictures = colourful(4)
    heights = []
    for count in (1, 3, 9):
        montage(tmp_path / "montage.png", pictures, pictures, pictures, count)
        heights.append(read(tmp_path / "montage.png").shape[0])
    assert heights == [LINE + rows * (256 + LINE) + LINE for rows in (1, 3, 4)]


def test_montage_without_clean_pictures_has_two_columns_and_no_psnr(tmp_path: Path, read, colourful) -> None:
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


def test_montage_leaves_the_pictures_alone(tmp_path: Path, colourful) -> None:
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
