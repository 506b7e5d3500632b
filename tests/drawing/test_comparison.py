from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from layerkit.data.noise_level import estimate_noise
from layerkit.denoising.baselines import fit_to_noise
from layerkit.drawing.comparison import SIDE, compare
from layerkit.drawing.sheet import GAP, LINE, WIDE_PANEL


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
