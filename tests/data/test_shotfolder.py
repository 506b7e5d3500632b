"""Folders of noisy shots: split by scene, taken as they are, and refused where the shots do not fit together."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data

from layerkit.builtin.noises.gaussian import Gaussian
from layerkit.data import splits
from layerkit.data.dataset import Dataset
from layerkit.data.pictures import Picture, write_picture
from layerkit.data.sources import load_dataset
from layerkit.errors import DataError

SHAPE = (3, 8, 8)


def scene(value: int, height: int = 60, width: int = 70) -> torch.Tensor:
    """Return a clean picture far from black and white, whose blue channel is ``value``: it tells the scene."""
    pixels = torch.from_numpy(data.coffee()).permute(2, 0, 1)[:, 20 : 20 + height, 300 : 300 + width] // 2 + 64
    pixels[2] = value
    return pixels


def shot(clean: torch.Tensor, seed: int) -> torch.Tensor:
    """Return a shot with noise in the red and green channels."""
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(seed)).mul_(20)
    noise[2] = 0
    return (clean + noise).round().clamp(0, 255).byte()


def put(folder: Path, name: str, clean: torch.Tensor, shots: int = 2, with_clean: bool = False) -> None:
    folder.mkdir(exist_ok=True)
    for number in range(1, shots + 1):
        write_picture(folder / f"{name}_{number}.png", Picture(shot(clean, 100 * ord(name[0]) + number)))
    if with_clean:
        write_picture(folder / f"{name}_clean.png", Picture(clean))


def load(folder: Path, samples: int = 1000, seed: int = 0, shape: tuple[int, int, int] = SHAPE, **more) -> Dataset:
    return load_dataset(folder, shape, Gaussian(99.0), seed, samples, **more)


def scenes(pictures: torch.Tensor) -> set[int]:
    return {round(value) for value in (pictures[:, 2] * 255).flatten(1).amin(1).tolist()}


# What is made of a folder


@pytest.mark.parametrize("count", [2, 5, 6, 11])
def test_no_scene_is_in_both_parts(tmp_path, count):
    for index in range(count):
        put(tmp_path, "abcdefghijk"[index], scene(20 * index))
    dataset = load(tmp_path)
    training = scenes(torch.cat([dataset.train.chunk(epoch, 0)[0] for epoch in range(2)]))
    validation = scenes(dataset.validation.noisy)
    assert len(validation) == math.ceil(count / 5)
    assert not training & validation
    assert training | validation == {20 * index for index in range(count)}
    assert f"{2 * count} noisy shots of {count} of the {count} scenes" in dataset.description
    assert 'no noise is added, and the "noise" of the spec is not used' in dataset.description
    other = load(tmp_path, seed=99)
    assert torch.equal(other.validation.noisy, dataset.validation.noisy)
    assert not torch.equal(other.train.chunk(0, 0)[0], dataset.train.chunk(0, 0)[0])


def test_the_noise_is_that_of_the_shots(tmp_path):
    for name in "ab":
        put(tmp_path, name, scene(ord(name)))
    dataset = load(tmp_path)
    inputs, targets = dataset.train.chunk(0, 0)
    difference = (inputs - targets)[:, :2] * 255
    # 8,400 values, used many times over: their spread is known to 1 / sqrt(2 * 8400) = 0.8 %.
    assert difference.square().mean().div(2).sqrt().item() == pytest.approx(20, rel=0.03)
    assert torch.equal(inputs[:, 2], targets[:, 2])
    noisy, clean, again = dataset.validation
    assert clean is None
    assert noisy.shape == again.shape == (1000, *SHAPE)
    assert (noisy - again)[:, :2].mul(255).square().mean().div(2).sqrt().item() == pytest.approx(20, rel=0.03)
    for text in (dataset.description, dataset.validation_description):
        assert "for validation, whose quality is estimated, because no clean picture is known" in text
    assert "for training" in dataset.description and "for training" not in dataset.validation_description


def test_known_clean_pictures_are_for_validation(tmp_path):
    for index, name in enumerate("abcdef"):
        put(tmp_path, name, scene(20 * index), with_clean=name in "bc")
    dataset = load(tmp_path)
    noisy, clean, again = dataset.validation
    assert again is None
    assert scenes(clean) == scenes(noisy)
    assert scenes(clean) in ({20}, {40})
    assert (noisy - clean)[:, :2].mul(255).std().item() == pytest.approx(20, rel=0.03)
    assert len(scenes(dataset.train.chunk(0, 0)[0])) == 5
    assert "12 noisy shots of 6 of the 6 scenes" in dataset.description
    assert "crops of 1 for validation, whose clean pictures are known" in dataset.description


def test_training_does_not_see_clean_pictures_unless_asked(tmp_path):
    for name in "abc":
        put(tmp_path, name, scene(ord(name)), with_clean=name != "c")
    files = {path.stem: np.asarray(Image.open(path)) for path in tmp_path.iterdir()}
    clean = {int(value) for name in ("a_clean", "b_clean") for value in files[name][..., 0].ravel()}
    noisy = load(tmp_path)
    assert set(noisy.train.chunk(0, 0)[1][:, 0].mul(255).round().int().unique().tolist()) - clean
    asked = load(tmp_path, clean_targets=True)
    inputs, targets = asked.train.chunk(0, 0)
    assert set(targets[:, 0].mul(255).round().int().unique().tolist()) <= clean
    assert (inputs - targets)[:, :2].mul(255).std().item() == pytest.approx(20, rel=0.03)
    assert scenes(targets) | scenes(asked.validation.clean) == {ord("a"), ord("b")}
    assert "random crops of shots and clean pictures of 1 for training" in asked.description
    assert "left out: c_1.png, c_2.png, which have no partner" in asked.description


@pytest.mark.parametrize("size", [(40, 60), (60, 40)])
@pytest.mark.parametrize("with_clean", [False, True])
def test_one_scene_is_cut_in_halves(tmp_path, size, with_clean):
    clean = scene(0, *size)
    clean[2].narrow(0 if size[0] > size[1] else 1, 30, 30).fill_(200)
    put(tmp_path, "only", clean, with_clean=with_clean)
    dataset = load(tmp_path)
    assert scenes(dataset.train.chunk(0, 0)[0]) == {0}
    assert scenes(dataset.validation.noisy) == {200}
    assert (dataset.validation.clean is not None) == with_clean
    assert "1 of the 1 scenes" in dataset.description
    assert "cut in two halves" in dataset.description


def test_gray_and_colour_become_what_the_network_takes(tmp_path):
    for name in "ab":
        put(tmp_path, name, scene(ord(name)))
    Image.open(tmp_path / "a_2.png").convert("L").save(tmp_path / "a_2.png")
    gray = load(tmp_path, shape=(1, 8, 8))
    assert gray.train.chunk(0, 0)[0].shape == (1000, 1, 8, 8)
    for index in range(2):  # 16 bits, of which the upper 8 are read
        values = shot(scene(7), index)[0].numpy().astype(np.uint16) << 8
        Image.fromarray(values).save(tmp_path / f"c_{index}.png")
        (tmp_path / f"{'ab'[index]}_1.png").unlink()
        (tmp_path / f"{'ab'[index]}_2.png").unlink()
    colour = load(tmp_path)
    inputs, _ = colour.train.chunk(0, 0)
    assert torch.equal(inputs[:, 0], inputs[:, 2])


def test_what_is_left_out_is_named(tmp_path):
    for name in "abcde":
        put(tmp_path, name, scene(ord(name)))
    put(tmp_path, "small", scene(0, 7, 60))
    put(tmp_path, "z", scene(0), shots=1)
    write_picture(tmp_path / "overview.png", Picture(scene(0)))
    description = load(tmp_path).description
    assert "10 noisy shots of 5 of the 6 scenes" in description
    assert "left out: overview.png, z_1.png, which have no partner" in description
    assert "left out: small_1.png, small_2.png, which are smaller than a crop's 8x8 pixels" in description
    for index in range(5):
        write_picture(tmp_path / f"more{index}.png", Picture(scene(0)))
    assert (
        "more0.png, more1.png, more2.png, more3.png, more4.png and 2 more, which have no" in load(tmp_path).description
    )


def test_mirrored_and_transposed_views_are_for_training_only(tmp_path):
    for name in "ab":
        put(tmp_path, name, scene(ord(name), 16, 16))
    dataset = load(tmp_path, shape=(3, 16, 16))
    pairs = torch.cat(dataset.train.chunk(0, 0), 1)
    assert len(pairs.unique(dim=0)) == 8  # four forms, and either shot may be the input
    assert len(torch.cat([dataset.validation.noisy, dataset.validation.noisy_again], 1).unique(dim=0)) == 2


def test_large_shots_are_cut_not_made_smaller(tmp_path, monkeypatch):
    for name in "ab":
        put(tmp_path, name, scene(ord(name), 100, 150))
    monkeypatch.setattr(splits, "MAX_BYTES", 2 * 2 * 2 * 3 * 30 * 45)
    dataset = load(tmp_path)
    (stack,) = dataset.train.stacks
    assert stack.views[0].shape == (6, 30, 45)
    name = "ab"[stack.views[0][2, 0, 0] == ord("b")]
    whole = np.asarray(Image.open(tmp_path / f"{name}_1.png"))
    assert np.array_equal(stack.views[0][:3].permute(1, 2, 0).numpy(), whole[35:65, 52:97])
    assert "of large pictures the middle" in dataset.description
    monkeypatch.setattr(splits, "MAX_BYTES", 1)
    dataset = load(tmp_path)
    assert dataset.train.stacks[0].views[0].shape == (6, 8, 8)


def test_many_scenes_are_cut_short(tmp_path, monkeypatch):
    for name in "abcdef":
        put(tmp_path, name, scene(ord(name)))
    monkeypatch.setattr(splits, "MAX_BYTES", 3 * 8 * 2 * 3 * 64)
    assert "6 noisy shots of 3 of the 6 scenes" in load(tmp_path).description


# Ordinary folders stay what they were


def test_numbered_photographs_get_noise_and_the_description_says_why(tmp_path):
    for number, name in enumerate(("astronaut", "coffee", "chelsea"), 1):
        Image.fromarray(getattr(data, name)()[:90, :90]).save(tmp_path / f"IMG_{number}.png")
    dataset = load(tmp_path)
    assert "3 of the 3 pictures" in dataset.description
    assert (
        "IMG_1.png and IMG_2.png do not look alike, so they are not taken for noisy shots of one scene; noise is "
        "added to every picture" in dataset.description
    )
    noisy, clean, _ = dataset.validation
    assert (noisy - clean).mul(255).std() > 80


def test_a_single_picture_of_a_pair_is_a_picture(tmp_path):
    put(tmp_path, "a", scene(0))
    assert "1 of the 1 pictures" in load(tmp_path / "a_1.png").description


# Folders that cannot be used


def test_shots_of_different_sizes(tmp_path):
    put(tmp_path, "a", scene(0))
    write_picture(tmp_path / "a_2.png", Picture(shot(scene(0), 5)[:, :59]))
    with pytest.raises(
        DataError, match=r"a_1\.png has 60x70 pixels .* and .*a_2\.png has 59x70; pictures of one scene m"
    ):
        load(tmp_path)


def test_a_clean_picture_of_a_different_size(tmp_path):
    put(tmp_path, "a", scene(0))
    write_picture(tmp_path / "a_clean.png", Picture(scene(0, 30, 35)))
    with pytest.raises(DataError, match=r"a_1\.png has 60x70 pixels .* and .*a_clean\.png has 30x35"):
        load(tmp_path)


def test_a_scene_whose_shots_show_different_things(tmp_path):
    for name in "abc":
        put(tmp_path, name, scene(ord(name)))
    write_picture(tmp_path / "b_3.png", Picture(torch.from_numpy(data.rocket()).permute(2, 0, 1)[:, 200:260, 300:370]))
    with pytest.raises(DataError, match=r"b_1\.png and .*b_3\.png do not show the same scene, although .*; rename"):
        load(tmp_path)


def test_a_shot_that_is_a_copy(tmp_path):
    put(tmp_path, "a", scene(0), shots=3)
    (tmp_path / "a_3.png").write_bytes((tmp_path / "a_2.png").read_bytes())
    with pytest.raises(DataError, match=r"a_2\.png and .*a_3\.png are the same picture; each must be a separate shot"):
        load(tmp_path)


def test_shots_smaller_than_a_crop(tmp_path):
    put(tmp_path, "a", scene(0))
    with pytest.raises(
        DataError, match=r"no shot is large enough: crops need 61x70 pixels .*; use larger pictures or a"
    ):
        load(tmp_path, shape=(3, 61, 70))
    with pytest.raises(
        DataError, match=r"only usable scene, a, has 60x70 pixels, too few .* crops need 60x36; add a s"
    ):
        load(tmp_path, shape=(3, 60, 36))


def test_clean_targets_without_clean_pictures(tmp_path):
    put(tmp_path, "a", scene(0))
    with pytest.raises(
        DataError, match=r"no scene has a clean picture, such as a_clean\.png for a_1\.png; add them, or"
    ):
        load(tmp_path, clean_targets=True)


def test_shots_are_for_networks_of_one_or_three_channels(tmp_path):
    put(tmp_path, "a", scene(0))
    with pytest.raises(DataError, match=r"1 channel \(gray\) or 3 \(RGB\), but the network's input has 2"):
        load(tmp_path, shape=(2, 8, 8))


def test_a_broken_shot_is_named(tmp_path):
    put(tmp_path, "a", scene(0), shots=3)
    (tmp_path / "a_3.png").write_text("text")
    with pytest.raises(DataError, match=r"a_3\.png: not a picture"):
        load(tmp_path)


# Sixteen bits


def test_dim_shots_of_sixteen_bits_keep_their_bits(tmp_path):
    clean = scene(100).int()
    for name in "ab":
        for number in (1, 2):
            noisy = shot(scene(100), 100 * ord(name) + number).to(torch.uint16)
            write_picture(tmp_path / f"{name}_{number}.png", Picture(noisy))
        # The same in eight bits would be black.
        write_picture(tmp_path / f"{name}_clean.png", Picture(clean.to(torch.uint16)))
    dataset = load(tmp_path)
    first, second = dataset.train.chunk(0, 0)
    assert not torch.equal(first, second)
    for pictures in (first, second, dataset.validation.clean):
        assert len((pictures * 65535).round().unique()) > 50


def test_shots_of_eight_and_of_sixteen_bits_of_one_scene(tmp_path):
    put(tmp_path, "a", scene(100))
    put(tmp_path, "b", scene(50))
    deep = shot(scene(100), 7).int().mul(257).to(torch.uint16)
    write_picture(tmp_path / "a_3.png", Picture(deep))
    assert scenes(torch.cat([*load(tmp_path).train.chunk(0, 0), load(tmp_path).validation.noisy])) == {100, 50}
