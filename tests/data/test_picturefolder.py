"""Pictures of a folder are split before they are cut."""

from __future__ import annotations

import math

import pytest
import torch

from layerkit.builtin.noises.gaussian import Gaussian
from layerkit.builtin.noises.pixelate import Pixelate
from layerkit.data import splits
from layerkit.data.pictures import Picture, write_picture
from layerkit.data.sources import load_dataset
from layerkit.errors import DataError

NOISELESS = Gaussian(0.0)


def plain(folder, values, size=(40, 50)):
    for value in values:
        write_picture(folder / f"{value:03}.png", Picture(torch.full((3, *size), value, dtype=torch.uint8)))


def levels(pictures):
    return {round(value) for value in (pictures * 255).flatten(1).amin(1).tolist()}


@pytest.mark.parametrize("count", [2, 4, 5, 11])
def test_no_picture_is_in_both_parts(tmp_path, count):
    values = [10 * number for number in range(count)]
    plain(tmp_path, values)
    dataset = load_dataset(tmp_path, (3, 8, 8), NOISELESS, 0, 2000)
    training = levels(torch.cat([dataset.train.chunk(epoch, 0)[0] for epoch in range(4)]))
    validation = levels(dataset.validation.clean)
    assert len(validation) == math.ceil(count / 5)
    assert not training & validation
    assert training | validation == set(values)
    assert f"{count} of the {count} pictures" in dataset.description
    held_out = f"in {tmp_path}: 1,000 crops of {len(validation)} for validation; crops of one photograph resemble"
    assert held_out in dataset.validation_description
    other = load_dataset(str(tmp_path), (3, 8, 8), NOISELESS, 99, 2000)
    assert levels(other.validation.clean) == validation


@pytest.mark.parametrize("size", [(40, 60), (60, 40)])
def test_one_picture_is_cut_in_halves(tmp_path, size):
    pixels = torch.zeros(3, *size, dtype=torch.uint8)
    pixels.narrow(1 if size[0] > size[1] else 2, 30, 30).fill_(200)
    write_picture(tmp_path / "only.png", Picture(pixels))
    for source in (tmp_path, tmp_path / "only.png"):
        dataset = load_dataset(source, (3, 8, 8), NOISELESS, 0, 200)
        assert levels(dataset.train.chunk(0, 0)[0]) == {0}
        assert levels(dataset.validation.clean) == {200}
        assert "1 of the 1 pictures" in dataset.description
        assert "cut in two halves" in dataset.description


def test_small_pictures_are_left_out_and_counted(tmp_path):
    plain(tmp_path, [10, 20, 30])
    plain(tmp_path, [40, 50], size=(7, 100))
    dataset = load_dataset(tmp_path, (3, 8, 8), NOISELESS, 0, 2000)
    assert levels(torch.cat([*dataset.train.chunk(0, 0), dataset.validation.clean])) == {10, 20, 30}
    assert "3 of the 5 pictures" in dataset.description
    assert "(2 smaller than a crop's 8x8 pixels)" in dataset.description


def test_large_folders_are_made_smaller_or_cut_short(tmp_path, monkeypatch):
    plain(tmp_path, range(0, 200, 20), size=(80, 100))
    monkeypatch.setattr(splits, "MAX_BYTES", 5 * 8 * 3 * 64)
    dataset = load_dataset(tmp_path, (3, 8, 8), NOISELESS, 0, 2000)
    assert "5 of the 10 pictures" in dataset.description
    sizes = [view.shape[1:] for views in dataset.train.views for view in views]
    assert all(8 <= min(size) < 20 for size in sizes)


def test_mirrored_and_transposed_views_are_for_training_only(tmp_path):
    generator = torch.Generator().manual_seed(0)
    for name in ("a.png", "b.png"):
        pixels = torch.randint(256, (3, 8, 8), generator=generator, dtype=torch.uint8)
        write_picture(tmp_path / name, Picture(pixels))
    dataset = load_dataset(tmp_path, (3, 8, 8), NOISELESS, 0, 2000)
    assert len(dataset.train.chunk(0, 0)[0].unique(dim=0)) == 4
    assert len(dataset.validation.clean.unique(dim=0)) == 1


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ([], "no pictures in this folder"),
        ([(7, 100), (100, 7)], r"no picture is large enough: crops need 8x8 pixels .* none of 2 has that; use larger"),
        ([(15, 15)], r"the only usable picture, 15x15 pixels, is too small .* crops need 8x8; add a picture"),
    ],
)
def test_folders_that_cannot_be_used(tmp_path, sizes, message):
    for value, size in enumerate(sizes):
        plain(tmp_path, [value], size)
    with pytest.raises(DataError, match=message):
        load_dataset(tmp_path, (3, 8, 8), NOISELESS, 0, 10)


@pytest.mark.parametrize(("sizes", "more"), [([(20, 20), (30, 12)], "none of 2 has that"), ([(50, 50)], "crops need")])
def test_it_is_said_when_the_noise_asks_for_larger_pictures(tmp_path, sizes, more):
    for value, size in enumerate(sizes):
        plain(tmp_path, [value], size)
    with pytest.raises(DataError, match=more) as caught:
        load_dataset(tmp_path, (3, 8, 8), Pixelate(4), 0, 10)
    assert (
        "; the noise needs that much, since it makes one pixel from 4x4; a noise that keeps the size, such "
        'as {"type": "gaussian", "sigma": 25}, needs no more than 8x8; '
    ) in str(caught.value)
    assert load_dataset(tmp_path, (3, 8, 8), Gaussian(25), 0, 10).train


def test_a_broken_picture_in_a_folder_is_named(tmp_path):
    plain(tmp_path, [1, 2])
    (tmp_path / "broken.png").write_text("text")
    with pytest.raises(DataError, match=r"broken\.png: not a picture"):
        load_dataset(tmp_path, (3, 8, 8), NOISELESS, 0, 10)


def test_pictures_are_for_networks_of_one_or_three_channels(tmp_path):
    plain(tmp_path, [1, 2])
    for source in ("photos", tmp_path):
        with pytest.raises(DataError, match=r"1 channel \(gray\) or 3 \(RGB\), but the network's input has 2"):
            load_dataset(source, (2, 8, 8), NOISELESS, 0, 10)
    with pytest.raises(DataError, match=r"the network's input is \(64,\); \"input\" must be \[C, H, W\]"):
        load_dataset("photos", (64,), NOISELESS, 0, 10)


# Sixteen bits and floats


@pytest.mark.parametrize("noise", [NOISELESS, Pixelate()])
def test_sixteen_bits_are_learned_from_with_all_their_bits(tmp_path, noise):
    ramp = torch.linspace(0, 300, 64 * 64).round().to(torch.uint16).reshape(1, 64, 64).expand(3, -1, -1).contiguous()
    for name in ("a.png", "b.png"):
        write_picture(tmp_path / name, Picture(ramp))
    dataset = load_dataset(tmp_path, (3, 8, 8), noise, 0, 500)
    for pictures in (*dataset.train.chunk(0, 0), dataset.validation.clean):
        numbers = pictures * 65535
        assert numbers.max() <= 300.01
        assert len(numbers.round().unique()) > 20  # 8 bits have 2 of them


def test_floats_and_eight_bits_beside_sixteen(tmp_path):
    for index in range(3):
        write_picture(tmp_path / f"{index}.tif", Picture(torch.full((3, 20, 20), 0.2)))
        write_picture(tmp_path / f"{index}.png", Picture(torch.full((3, 20, 20), 51, dtype=torch.uint8)))
    dataset = load_dataset(tmp_path, (3, 8, 8), NOISELESS, 0, 500)
    for pictures in (*dataset.train.chunk(0, 0), dataset.validation.clean):
        torch.testing.assert_close(pictures, torch.full_like(pictures, 0.2))
