from __future__ import annotations

import base64
import io

import numpy as np
import pytest
import torch
from PIL import Image

from layerkit import Denoiser, build, load_architecture
from layerkit.data.dataset import Validation
from layerkit.denoising.evaluation import Examples
from layerkit.experiments.examples import LONGEST, ratios, read_tiles, varied_examples, write_tiles


def test_examples_go_from_the_noisiest_to_the_least_noisy(tiny, tmp_path):
    architecture = load_architecture(tiny.spec(tmp_path))
    denoiser = Denoiser(build(architecture, 0), architecture.input.shape)
    clean = torch.full((50, 3, 8, 8), 0.5)
    noise = torch.randperm(50, generator=torch.Generator().manual_seed(0)).reshape(-1, 1, 1, 1) / 200
    shown = varied_examples(denoiser, Validation(clean + noise, clean))
    strength = (shown.noisy - shown.clean).amax((1, 2, 3)) * 200
    assert strength.round().tolist() == [44, 34, 24, 14, 4]  # each in the middle of a fifth
    few = varied_examples(denoiser, Validation((clean + noise)[:2], clean[:2]))
    assert len(few.noisy) == 2
    unknown = varied_examples(denoiser, Validation(clean, None, clean))
    assert (len(unknown.noisy), unknown.clean) == (5, None)


def test_ratios_are_known_where_the_clean_ones_are():
    clean = torch.full((1, 1, 2, 2), 0.5)
    assert ratios(Examples(clean + 0.1, clean, clean)) == (
        (pytest.approx(20.0, abs=1e-3), None),
    )  # identical: not finite
    assert ratios(Examples(clean, clean, None)) == ((None, None),)


@pytest.mark.parametrize("channels", [1, 3])
def test_tiles_come_back_pixel_for_pixel(tmp_path, channels):
    columns = torch.randint(0, 256, (3, 2, channels, 5, 4), generator=torch.Generator().manual_seed(0))
    write_tiles(tmp_path / "tiles.png", Examples(*columns / 255))
    rows = read_tiles(tmp_path / "tiles.png", 2, 3)
    for row, addresses in enumerate(rows):
        for column, address in enumerate(addresses):
            with Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2]))) as picture:
                pixels = torch.from_numpy(np.array(picture)).reshape(5, 4, channels)
            assert torch.equal(pixels.permute(2, 0, 1), columns[column, row])


def test_a_large_picture_is_shown_smaller(tmp_path):
    write_tiles(tmp_path / "tiles.png", Examples(*torch.zeros(2, 1, 3, 2 * LONGEST, LONGEST), None))
    ((address, _),) = read_tiles(tmp_path / "tiles.png", 1, 2)
    with Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2]))) as picture:
        assert picture.size == (LONGEST // 2, LONGEST)


def test_a_file_that_is_no_sheet_of_these_shows_nothing(tmp_path):
    path = tmp_path / "tiles.png"
    assert read_tiles(path, 1, 2) == []
    path.write_bytes(b"no picture")
    assert read_tiles(path, 1, 2) == []
    write_tiles(path, Examples(*torch.zeros(2, 1, 3, 5, 5), None))
    assert read_tiles(path, 1, 3) == [] and read_tiles(path, 0, 2) == []
