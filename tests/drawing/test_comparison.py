from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from layerkit.data.noise_level import estimate_noise
from layerkit.denoising.baselines import fit_to_noise
from layerkit.drawing.comparison import DETAIL, SIDE, WIDE_PANEL, compare, draw_versions
from layerkit.drawing.sheet import GAP, LINE
from layerkit.errors import ShapeError


def noisy(height: int, width: int, channels: int = 3, sigma: float = 25) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    slope = torch.linspace(60, 190, width).expand(channels, height, width)
    return (slope + sigma * torch.randn(slope.shape, generator=generator)).clamp(0, 255).byte()


@pytest.mark.parametrize("channels", [1, 3])
def test_the_methods_get_the_estimated_noise(tmp_path, channels):
    before = noisy(32, 32, channels)
    after = 255 - before
    compare(tmp_path / "compare.png", before, after)
    with Image.open(tmp_path / "compare.png") as image:
        sheet = np.asarray(image.convert("RGB")).astype(int)
    fitted = [method.apply(before[None] / 255)[0] * 255 for method in fit_to_noise(estimate_noise(before))]
    for column, picture in enumerate([before, *fitted, after]):
        shown = sheet[LINE : LINE + WIDE_PANEL : 10, GAP + column * (WIDE_PANEL + GAP) :][:, :WIDE_PANEL:10]
        wanted = picture.float().clamp(0, 255).expand(3, 32, 32).permute(1, 2, 0).numpy()
        assert np.abs(shown - wanted).max() <= 2, column


@pytest.mark.parametrize("shape", [(3, 1, 1), (1, 3, 300), (3, 8, 8)])
@pytest.mark.parametrize("value", [0, 128])
def test_pictures_without_noise_or_too_small_to_tell(tmp_path, shape, value):
    picture = torch.full(shape, value, dtype=torch.uint8)
    compare(tmp_path / "compare.png", picture, picture)
    with Image.open(tmp_path / "compare.png") as image:
        image.load()


@pytest.mark.parametrize(
    ("shape", "note"),
    [
        ((3, 32, 32), r"classical methods for noise of about 2\d of 255, by an estimate$"),
        ((3, 4, 40), "classical methods for noise of unknown size$"),
        ((1, 9, SIDE + 1), "by an estimate; the middle of the picture$"),
    ],
)
def test_the_note_says_what_is_known(tmp_path, monkeypatch, shape, note):
    import re

    from matplotlib.axes import Axes

    written, text = [], Axes.text
    monkeypatch.setattr(Axes, "text", lambda *args, **kw: (written.append(args[3]), text(*args, **kw))[1])
    picture = noisy(*shape[1:], shape[0])
    compare(tmp_path / "compare.png", picture, picture)
    names = ["noisy", "Gaussian blur", "non-local means", "total variation", "denoised by the network"]
    assert written[:-1] == names
    assert re.search(note, written[-1])


@pytest.fixture
def versions(colourful) -> Callable[..., dict[str, torch.Tensor]]:
    def versions(height: int, width: int, channels: int = 3) -> dict[str, torch.Tensor]:
        return {name: colourful(1, channels, height, width, seed)[0] for seed, name in enumerate(("a", "b", "c"))}

    return versions


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("height", "width", "scale"), [(32, 32, 10), (7, 5, 45), (2 * DETAIL, 100, 2), (1, 1, 320)])
def test_a_comparison_of_small_pictures_is_one_row(
    tmp_path: Path, channels, height, width, scale, read, versions
) -> None:
    pictures = versions(height, width, channels)
    draw_versions(tmp_path / "compare.png", pictures, "a note")
    sheet = read(tmp_path / "compare.png")
    assert sheet.shape[:2] == (LINE + height * scale + GAP + LINE, GAP + 3 * (width * scale + GAP))
    for column, picture in enumerate(pictures.values()):
        left = GAP + column * (width * scale + GAP)
        shown = sheet[LINE : LINE + height * scale, left : left + width * scale]
        wanted = picture.expand(3, height, width).permute(1, 2, 0).numpy().repeat(scale, 0).repeat(scale, 1) * 255
        assert np.abs(shown - wanted).max() <= 2


def test_a_comparison_of_large_pictures_has_the_middle_enlarged_below(tmp_path: Path, read, versions) -> None:
    pictures = versions(200, 400)
    draw_versions(tmp_path / "compare.png", pictures, "a note")
    sheet = read(tmp_path / "compare.png")
    whole = WIDE_PANEL // 2
    assert sheet.shape[:2] == (LINE + whole + GAP + WIDE_PANEL + GAP + LINE, GAP + 3 * (WIDE_PANEL + GAP))
    scale = WIDE_PANEL // DETAIL
    for column, picture in enumerate(pictures.values()):
        top, left = LINE + whole + GAP, GAP + column * (WIDE_PANEL + GAP)
        shown = sheet[top : top + WIDE_PANEL, left : left + WIDE_PANEL]
        detail = picture[:, 60:140, 160:240].permute(1, 2, 0).numpy().repeat(scale, 0).repeat(scale, 1) * 255
        assert np.abs(shown - detail).max() <= 2


def test_a_frame_shows_where_the_middle_is(tmp_path: Path, read) -> None:
    black = torch.zeros(3, 200, 400)
    draw_versions(tmp_path / "compare.png", {"a": black}, "")
    sheet = read(tmp_path / "compare.png")
    assert sheet.shape[0] == LINE + 160 + GAP + WIDE_PANEL + GAP, "no note, no line for it"
    frame = np.argwhere(sheet[LINE : LINE + 160, GAP : GAP + 320].sum(2) > 300)
    assert np.abs(frame.min(0) - (48, 128)).max() <= 1
    assert np.abs(frame.max(0) - (112, 192)).max() <= 1


def test_a_comparison_of_tall_pictures_has_them_in_the_middle_of_their_columns(tmp_path: Path, read) -> None:
    draw_versions(tmp_path / "compare.png", {"a": torch.zeros(1, 400, 200)}, "")
    sheet = read(tmp_path / "compare.png")
    dark = np.argwhere((sheet[LINE : LINE + 320] == 0).all(2))
    assert (dark[:, 1].min(), dark[:, 1].max()) == (GAP + 80, GAP + 239)


@pytest.mark.parametrize(
    "shapes", [[], [(3, 8, 8), (3, 8, 9)], [(2, 8, 8)], [(1, 3, 8, 8)], [(3, 0, 8)], [(3, 8, 8), (1, 8, 8)]]
)
def test_what_cannot_be_compared(tmp_path: Path, shapes: list[tuple[int, ...]]) -> None:
    with pytest.raises(ShapeError, match=r"a comparison needs pictures of one shape \(1 or 3, H, W\), not \{"):
        draw_versions(tmp_path / "compare.png", {str(n): torch.zeros(shape) for n, shape in enumerate(shapes)}, "")
    assert not list(tmp_path.iterdir())
