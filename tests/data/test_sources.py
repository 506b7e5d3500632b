"""Batches are functions of seed, epoch and position; photographs are split before they are cut."""

from __future__ import annotations

import hashlib
import importlib.util
import math
import threading
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from layerkit.builtin.noises.bernoulli import Bernoulli
from layerkit.builtin.noises.gaussian import Gaussian
from layerkit.builtin.noises.pixelate import Pixelate
from layerkit.data import photographs
from layerkit.data.crops import PictureCrops, cut_crops
from layerkit.data.pairs import MAX_CHUNK, MAX_CHUNK_VALUES, chunk_size, seeded_generator
from layerkit.data.pictures import Picture, with_channels, write_picture
from layerkit.data.sources import batches, load_dataset
from layerkit.errors import DataError

NOISELESS = Gaussian(0.0)


# Batches


class Numbered:
    """Pairs whose values say which sample they are; remembers which chunks were made."""

    def __init__(self, total, size):
        self.total, self.chunk_size, self.made = total, size, []

    def __len__(self):
        return self.total

    def chunk(self, epoch, number):
        self.made.append(number)
        first = number * self.chunk_size
        values = torch.arange(first, min(first + self.chunk_size, self.total)) + 1000.0 * epoch
        return values, -values


@given(st.integers(0, 60), st.integers(1, 20), st.integers(1, 25), st.integers(0, 70))
def test_batches_are_consecutive_whatever_the_chunks(total, size, batch_size, start):
    pairs = Numbered(total, size)
    given = list(batches(pairs, 2, batch_size, start))
    expected = (torch.arange(total) + 2000.0).split(batch_size)[start:] if total else ()
    assert len(given) == len(expected)
    for (inputs, targets), values in zip(given, expected, strict=True):
        assert torch.equal(inputs, values)
        assert torch.equal(targets, -values)
    first = start * batch_size // size
    assert pairs.made == list(range(first, math.ceil(total / size)))[: len(pairs.made)]
    assert len(pairs.made) == (math.ceil(total / size) - first if given else 0)


def chunk_threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("layerkit pairs")]


def test_the_next_chunk_is_made_while_one_is_in_use():
    made = threading.Semaphore(0)

    class Counted(Numbered):
        def chunk(self, epoch, number):
            chunk = super().chunk(epoch, number)
            made.release()
            return chunk

    pairs = Counted(9, 2)
    cut = batches(pairs, 0, 1)
    next(cut)
    assert made.acquire(timeout=60)
    assert made.acquire(timeout=60)
    assert pairs.made == [0, 1]
    assert [inputs.item() for inputs, _ in cut] == list(range(1, 9))
    assert not chunk_threads()


def test_a_chunk_that_fails_does_so_where_its_batch_is_asked_for():
    class Failing(Numbered):
        def chunk(self, epoch, number):
            if number == 1:
                raise DataError(f"chunk {number} of epoch {epoch}")
            return super().chunk(epoch, number)

    cut = batches(Failing(9, 2), 7, 1)
    assert [next(cut)[0].item() for _ in range(2)] == [7000, 7001]
    with pytest.raises(DataError, match="chunk 1 of epoch 7"):
        next(cut)
    assert not chunk_threads()


@pytest.mark.parametrize("taken", [0, 1, 3])
def test_no_thread_outlives_batches_that_nobody_wants_any_more(taken):
    pairs = Numbered(9, 2)
    cut = batches(pairs, 0, 2)
    for _ in range(taken):
        next(cut)
    cut.close()
    assert not chunk_threads()
    assert pairs.made == list(range(taken + 1 if taken else 0))


def test_chunks_are_bounded_by_memory():
    assert chunk_size((3, 32, 32)) == MAX_CHUNK
    assert chunk_size((3, 512, 512)) * 3 * 512 * 512 <= MAX_CHUNK_VALUES
    assert chunk_size((3, 4096, 4096)) == 1


def test_generators_depend_on_every_number_and_the_order():
    draws = [
        torch.rand(4, generator=seeded_generator(*numbers)).tolist()
        for numbers in [
            (0, 0, 0),
            (0, 0, 1),
            (0, 1, 0),
            (1, 0, 0),
            (2**63, 0),
            (2**63 + 1, 0),
            (0, 2**32),
            (0,),
            (0, 0),
        ]
    ]
    assert len({tuple(draw) for draw in draws}) == len(draws)
    assert draws[0] == torch.rand(4, generator=seeded_generator(0, 0, 0)).tolist()


# Crops


def gradients(count: int, height: int = 90, width: int = 110) -> list[list[torch.Tensor]]:
    """Return pictures whose pixels tell picture, row and column."""
    rows = torch.arange(height, dtype=torch.uint8)[:, None].expand(height, width)
    columns = torch.arange(width, dtype=torch.uint8).expand(height, width)
    return [[torch.stack([torch.full_like(rows, number), rows, columns])] for number in range(count)]


@pytest.mark.parametrize("noise", [Gaussian(25.0), Pixelate(4)])
def test_chunks_depend_on_seed_epoch_and_number_alone(noise):
    views = gradients(3)
    pairs = PictureCrops(views, noise, (3, 8, 6), 7, 2500)
    state = torch.get_rng_state()
    first = pairs.chunk(1, 2)
    assert torch.equal(torch.get_rng_state(), state)
    assert first[0].shape == first[1].shape == (2500 - 2 * pairs.chunk_size, 3, 8, 6)
    assert first[0].dtype == torch.float32
    assert not torch.equal(*first)
    again = PictureCrops(views, noise, (3, 8, 6), 7, 2500)
    again.chunk(0, 0)
    for mine, other in zip(first, again.chunk(1, 2), strict=True):
        assert torch.equal(mine, other)
    chunks = [
        PictureCrops(views, noise, (3, 8, 6), seed, 2500).chunk(epoch, number)[0]
        for seed, epoch, number in ((7, 1, 0), (7, 1, 1), (7, 2, 0), (8, 1, 0))
    ]
    assert len(torch.stack(chunks).flatten(1).unique(dim=0)) == 4


def test_a_run_that_resumes_within_an_epoch_sees_the_same_batches():
    pairs = PictureCrops(gradients(3), Pixelate(4), (3, 8, 6), 7, 2500)
    whole = list(batches(pairs, 3, 48))
    for start in (0, 1, 21, 22, 52):
        rest = list(batches(PictureCrops(gradients(3), Pixelate(4), (3, 8, 6), 7, 2500), 3, 48, start))
        assert len(rest) == len(whole) - start
        for (inputs, targets), (other_inputs, other_targets) in zip(rest, whole[start:], strict=True):
            assert torch.equal(inputs, other_inputs)
            assert torch.equal(targets, other_targets)


@given(count=st.integers(0, 70), per_strip=st.integers(1, 40), height=st.integers(1, 9), width=st.integers(1, 9))
def test_crops_are_whole_pieces_of_the_pictures(count, per_strip, height, width):
    views = gradients(4, 20, 17)
    crops, _ = cut_crops(views, NOISELESS, (3, height, width), count, seeded_generator(count), per_strip, False)
    assert crops.shape == (count, 3, height, width)
    number, rows, columns = (crops * 255).round().unbind(1)
    if not count:
        return
    assert torch.equal(number, number[:, :1, :1].expand_as(number))
    assert set(number.unique().tolist()) <= {0, 1, 2, 3}
    assert torch.equal(rows - rows[:, :1, :1], torch.arange(height)[:, None].expand_as(rows).float())
    assert torch.equal(columns - columns[:, :1, :1], torch.arange(width).expand_as(columns).float())
    assert rows.max() < 20
    assert columns.max() < 17


def test_crops_reach_every_picture_view_and_place():
    views = [[view, view + 100] for (view,) in gradients(3, 12, 12)]
    crops, _ = cut_crops(views, NOISELESS, (3, 8, 8), 20_000, seeded_generator(0), 8, False)
    number, row, column = (crops[:, :, 0, 0] * 255).round().unbind(1)
    assert set(number.tolist()) == {0, 1, 2, 100, 101, 102}
    places = {(a % 100, b % 100) for a, b in zip(row.tolist(), column.tolist(), strict=True)}
    assert places == {(a, b) for a in range(5) for b in range(5)}


def test_crops_of_a_strip_lie_evenly_on_a_line():
    steps = set()
    for seed in range(40):
        crops, _ = cut_crops(gradients(1), NOISELESS, (3, 8, 6), 5, seeded_generator(seed), 5, False)
        places = (crops[:, 1:, 0, 0] * 255).round()
        step = places.diff(dim=0)
        assert torch.equal(step, step[:1].expand_as(step))
        steps.add(tuple(step[0].tolist()))
    down, right = (set(axis) for axis in zip(*steps, strict=True))
    assert {0, 5} <= down <= set(range(7))  # up to three crops of 8 rows in four steps
    assert {0, 4} <= right <= set(range(5))


def test_crops_of_a_strip_do_not_meet_in_a_small_batch():
    views = gradients(200, 12, 12)
    crops, _ = cut_crops(views, NOISELESS, (3, 8, 8), 1024, seeded_generator(0), 32, False)
    numbers = (crops[:32, 0, 0, 0] * 255).round().unique()
    assert len(numbers) > 20  # of 32 strips, each of a picture of its own but for chance


@pytest.mark.parametrize("noise", [Gaussian(25.0), Pixelate(8)])
def test_both_versions_of_a_crop_are_noisy_independently(noise):
    source = torch.randint(256, (1, 200, 200), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    first, second = cut_crops([[source]], noise, (1, 16, 16), 400, seeded_generator(0), 32, False)
    stream = seeded_generator(0)
    noisy, clean = cut_crops([[source]], noise, (1, 16, 16), 400, stream, 32, True)
    difference = (first - second).var()
    spread = (noisy - clean).var()
    assert (difference / (2 * spread)).item() == pytest.approx(1, rel=0.03)
    # and every crop of a strip has noise of its own, although they share the picture
    repeated, _ = cut_crops([[source[:, :128, :128]]], noise, (1, 16, 16), 32, seeded_generator(1), 32, False)
    assert len(repeated.flatten(1).unique(dim=0)) == 32


@pytest.mark.parametrize("clean_targets", [False, True])
def test_only_noisy_targets_have_unknown_pixels(clean_targets):
    pairs = PictureCrops(gradients(3), Bernoulli(0.5), (3, 8, 6), 0, 640, clean_targets)
    noisy, target = pairs.chunk(0, 0)
    assert not noisy.isnan().any()
    missing = (noisy == 0).all(1)  # black pixels are rare in these pictures
    assert missing.double().mean().item() == pytest.approx(0.5, abs=0.05)
    if clean_targets:
        assert not target.isnan().any()
    else:
        assert target.isnan().double().mean().item() == pytest.approx(0.5, abs=0.03)
        assert (target.isnan().any(1) ^ missing).double().mean().item() == pytest.approx(0.5, abs=0.05)


def test_validation_pictures_have_no_unknown_pixels():
    noisy, clean = load_dataset("photos", (3, 16, 16), Bernoulli(0.5), 0, 1, validation_samples=20).validation[:2]
    assert not noisy.isnan().any()
    assert not clean.isnan().any()
    assert (noisy == 0).double().mean().item() == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("recolour", [False, True])
def test_pixels_picked_as_bytes_are_those_picked_as_numbers(recolour):
    class OfNumbers(Pixelate):
        picks_pixels = False

    views = [[torch.randint(256, (3, 40, 50), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)]]
    as_bytes, as_numbers = (
        cut_crops(views, noise, (3, 5, 4), 70, seeded_generator(0), 16, False, recolour)
        for noise in (Pixelate(4), OfNumbers(4))
    )
    for mine, other in zip(as_bytes, as_numbers, strict=True):
        assert torch.equal(mine, other)


def test_clean_targets():
    views = gradients(3)
    noisy, clean = PictureCrops(views, Pixelate(4), (3, 8, 6), 0, 64, clean_targets=True).chunk(0, 0)
    rows = (clean[:, 1] * 255).diff(dim=1)
    torch.testing.assert_close(rows, torch.full_like(rows, 4.0), rtol=0, atol=1e-3)
    assert 0 < (noisy - clean).abs().max() <= 1.5 / 255 + 1e-6  # within a block of 4, around its mean


# The built-in photographs


@pytest.fixture(scope="module")
def photos():
    return load_dataset("photos", (3, 32, 32), Pixelate(8), 0, 50_000)


def test_photos(photos):
    assert len(photos.train) == 50_000
    inputs, targets = next(batches(photos.train, 0, 64))
    assert inputs.shape == targets.shape == (64, 3, 32, 32)
    noisy, clean, _ = photos.validation
    assert noisy.shape == clean.shape == (1000, 3, 32, 32)
    for values in (inputs, targets, noisy, clean):
        assert values.dtype == torch.float32
        assert values.min() >= 0
        assert values.max() <= 1
    assert "7 photographs" in photos.description
    assert "crops of 5 for training, 1,000 crops of 2 for validation" in photos.description


def test_photos_are_about_as_noisy_as_the_course_data(photos):
    noisy, clean, _ = photos.validation
    psnr = -10 * (noisy - clean).square().mean((1, 2, 3)).log10()
    assert 20 < psnr.mean() < 21.5  # theirs is 20.72


def test_colours_change_places_and_both_draws_alike():
    colours = torch.arange(3, dtype=torch.uint8).mul(100)[:, None, None].expand(3, 64, 64)
    inputs, targets = PictureCrops([[colours]], NOISELESS, (3, 8, 8), 0, 1024, recolour=True).chunk(0, 0)
    assert torch.equal(inputs, targets)
    orders = {tuple(order) for order in inputs[:, :, 0, 0].mul(2.55).round().int().tolist()}
    assert len(orders) == 6
    kept, _ = PictureCrops([[colours]], NOISELESS, (3, 8, 8), 0, 64).chunk(0, 0)
    assert torch.equal(kept[:, :, 0, 0], kept[:1, :, 0, 0].expand(64, 3))


def test_photos_are_split_by_photograph():
    assert not set(photographs.TRAINING) & set(photographs.VALIDATION)


def test_validation_is_the_same_for_every_seed(photos):
    other = load_dataset("photos", (3, 32, 32), Pixelate(8), 1, 10)
    assert torch.equal(other.validation.noisy, photos.validation.noisy)
    assert torch.equal(other.validation.clean, photos.validation.clean)
    assert not torch.equal(other.train.chunk(0, 0)[0], photos.train.chunk(0, 0)[0][:10])


def test_gray_photos():
    gray = load_dataset("photos", (1, 16, 24), Gaussian(25.0), 0, 100, validation_samples=50)
    assert next(batches(gray.train, 0, 8))[0].shape == (8, 1, 16, 24)
    assert gray.validation.clean.shape == (50, 1, 16, 24)


def test_gray_is_the_luma_and_colour_of_gray_is_gray():
    colours = torch.tensor([[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]], dtype=torch.uint8).T[:, None]
    assert with_channels(colours, 1).tolist() == [[[76, 150, 29, 255]]]
    assert torch.equal(with_channels(colours[:1], 3), colours[:1].expand(3, -1, -1))


def test_photos_are_enlarged_for_large_inputs_but_not_beyond_reason():
    large = load_dataset("photos", (3, 60, 60), Pixelate(8), 0, 4, validation_samples=2)
    assert large.train.chunk(0, 0)[0].shape == (4, 3, 60, 60)
    with pytest.raises(DataError, match="photographs are too small for crops of 2048x2048 pixels; use a folder"):
        load_dataset("photos", (3, 256, 256), Pixelate(8), 0, 4)


def test_the_carried_photographs_are_those_of_scikit_learn():
    folder = Path(photographs.__file__).with_name("photos")
    digests = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.glob("*.jpg")}
    assert digests == {
        "china.jpg": "8378025ad2519d649d02e32bd98990db4ab572357d9f09841c2fbfbb4fefad29",
        "flower.jpg": "a77f6ec41e353afdf8bdff2ea981b2955535d8d83294f8cfa49cf4e423dd5638",
    }
    credits = (folder / "CREDITS.md").read_text()
    assert all(name in credits for name in digests)


def test_photos_need_their_packages(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DataError, match=r'"photos" needs skimage for data/astronaut\.png, and skimage is not inst'):
        load_dataset("photos", (3, 32, 32), NOISELESS, 0, 4)


# Folders of pictures


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
    monkeypatch.setattr(photographs, "MAX_BYTES", 5 * 8 * 3 * 64)
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


def test_a_broken_picture_in_a_folder_is_named(tmp_path):
    plain(tmp_path, [1, 2])
    (tmp_path / "broken.png").write_text("text")
    with pytest.raises(DataError, match=r"broken\.png: not a picture"):
        load_dataset(tmp_path, (3, 8, 8), NOISELESS, 0, 10)


def test_pictures_are_for_networks_of_one_or_three_channels(tmp_path):
    plain(tmp_path, [1, 2])
    for source in ("photos", tmp_path):
        with pytest.raises(DataError, match=r"1 channel \(gray\) or 3 \(RGB\), and the network's input has 2"):
            load_dataset(source, (2, 8, 8), NOISELESS, 0, 10)
    with pytest.raises(DataError, match=r"the network's input is \(64,\); \"input\" must be \[C, H, W\]"):
        load_dataset("photos", (64,), NOISELESS, 0, 10)


def test_nothing_there(tmp_path):
    with pytest.raises(DataError, match='none: no such file or folder; give one, or "photos"'):
        load_dataset(tmp_path / "none", (3, 8, 8), NOISELESS, 0, 10)
