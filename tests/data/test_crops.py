"""Crops of pictures are functions of seed, epoch and chunk, and each has noise of its own."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from layerkit.builtin.noises.bernoulli import Bernoulli
from layerkit.builtin.noises.gaussian import Gaussian
from layerkit.builtin.noises.pixelate import Pixelate
from layerkit.data.crops import PictureCrops
from layerkit.data.pairs import batches, seeded_generator
from layerkit.data.sources import load_dataset

NOISELESS = Gaussian(0.0)


def cut_crops(views, noise, shape, count, generator, per_strip, clean_targets, recolour=False):
    return PictureCrops(views, noise, shape, 0, count, clean_targets, recolour).cut(count, generator, per_strip)


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
