from __future__ import annotations

import torch

from layerkit.denoising.evaluation import Examples
from layerkit.experiments.examples import write_tiles
from layerkit.experiments.report.pictures import pictures


def test_a_picture_says_what_became_of_it(tmp_path, section, result):
    _, made = section(vary=None).first_done
    noisy, denoised, clean = torch.rand(3, 2, 3, 8, 6, generator=torch.Generator().manual_seed(0))
    write_tiles(tmp_path / "tiles.png", Examples(noisy, denoised, clean))
    rows = pictures(tmp_path / "tiles.png", made)
    assert [[(shown.name, shown.caption, shown.worse) for shown in row] for row in rows] == [
        [("noisy", "20.12 dB", False), ("denoised", "25.50 dB, 5.38 dB better", False), ("clean", "", False)],
        [("noisy", "27.00 dB", False), ("denoised", "26.25 dB, 0.75 dB worse", True), ("clean", "", False)],
    ]
    assert len({shown.address for row in rows for shown in row}) == 6
    assert pictures(tmp_path / "none.png", made) == []


def test_where_nobody_knows_the_clean_ones_there_are_two_without_a_word(tmp_path, section, result):
    trial, _ = section(vary=None).first_done
    made = result(trial, estimated=True, examples=((None, None),) * 2)
    pair = torch.zeros(2, 2, 1, 8, 8)
    write_tiles(tmp_path / "tiles.png", Examples(*pair, None))
    rows = pictures(tmp_path / "tiles.png", made)
    assert [[(shown.name, shown.caption) for shown in row] for row in rows] == [[("noisy", ""), ("denoised", "")]] * 2
