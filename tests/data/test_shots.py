"""Pairs of shots are functions of seed, epoch and place, and both halves of a pair come from the same place."""

from __future__ import annotations

import math

import pytest
import torch

from layerkit.data.pairs import batches, seeded_generator
from layerkit.data.shots import ShotPairs, Stack

SHAPE = (3, 8, 6)


def marked(shots: int, clean: bool = False, scene: int = 0, height: int = 40, width: int = 50) -> torch.Tensor:
    """Return a stack whose channels tell row, column, and which picture of which scene it is."""
    rows = torch.arange(height, dtype=torch.uint8)[:, None].expand(height, width)
    columns = torch.arange(width, dtype=torch.uint8).expand(height, width)
    planes = []
    for number in range(shots + clean):
        planes += [rows, columns, torch.full_like(rows, 10 * scene + number)]
    return torch.stack(planes)


def forms(pixels: torch.Tensor, shots: int, clean: bool = False) -> Stack:
    views = [pixels, pixels.flip(2)]
    return Stack((*views, *(view.transpose(1, 2) for view in views)), shots, clean)


STACKS = [forms(marked(2, scene=0), 2), forms(marked(4, scene=1), 4)]


def test_chunks_depend_on_seed_epoch_and_number_alone():
    pairs = ShotPairs(STACKS, SHAPE, 7, 2500)
    state = torch.get_rng_state()
    first = pairs.chunk(1, 2)
    assert torch.equal(torch.get_rng_state(), state)
    assert first[0].shape == first[1].shape == (2500 - 2 * pairs.chunk_size, *SHAPE)
    assert first[0].dtype == torch.float32
    assert all(part.is_contiguous() for part in first)
    again = ShotPairs(STACKS, SHAPE, 7, 2500)
    again.chunk(0, 0)
    for mine, other in zip(first, again.chunk(1, 2), strict=True):
        assert torch.equal(mine, other)
    chunks = [
        ShotPairs(STACKS, SHAPE, seed, 2500).chunk(epoch, number)[0]
        for seed, epoch, number in ((7, 1, 0), (7, 1, 1), (7, 2, 0), (8, 1, 0))
    ]
    assert len(torch.stack(chunks).flatten(1).unique(dim=0)) == 4


def test_a_run_that_resumes_within_an_epoch_sees_the_same_batches():
    whole = list(batches(ShotPairs(STACKS, SHAPE, 7, 2500), 3, 48))
    for start in (0, 1, 21, 22, 52):
        rest = list(batches(ShotPairs(STACKS, SHAPE, 7, 2500), 3, 48, start))
        assert len(rest) == len(whole) - start
        for pair, other in zip(rest, whole[start:], strict=True):
            assert all(map(torch.equal, pair, other))


def test_both_halves_come_from_one_place_in_one_form():
    inputs, targets = (part.mul(255).round() for part in ShotPairs(STACKS, SHAPE, 0, 4000).chunk(0, 0))
    assert torch.equal(inputs[:, :2], targets[:, :2])  # the same rows and columns, mirrored and transposed alike
    directions = set()
    for rows, columns, _ in inputs:
        down = (int(rows[1, 0] - rows[0, 0]), int(columns[1, 0] - columns[0, 0]))
        right = (int(rows[0, 1] - rows[0, 0]), int(columns[0, 1] - columns[0, 0]))
        directions.add((down, right))
    assert directions == {((1, 0), (0, 1)), ((1, 0), (0, -1)), ((0, 1), (1, 0)), ((0, -1), (1, 0))}
    # Pixels of a crop are neighbours.
    assert torch.equal((inputs[:, :2].diff(dim=2).abs().sum(1)), torch.ones(len(inputs), 7, 6))
    assert torch.equal((inputs[:, :2].diff(dim=3).abs().sum(1)), torch.ones(len(inputs), 8, 5))


def test_any_two_shots_are_a_pair_in_either_order_and_never_one_with_itself():
    inputs, targets = (part.mul(255).round() for part in ShotPairs(STACKS, SHAPE, 0, 16_000).chunk(0, 0))
    assert torch.equal(inputs[:, 2], inputs[:, 2, :1, :1].expand(-1, 8, 6))
    pairs = set(zip(inputs[:, 2, 0, 0].int().tolist(), targets[:, 2, 0, 0].int().tolist(), strict=True))
    more = [ShotPairs(STACKS, SHAPE, 0, 16_000).chunk(0, number) for number in range(1, 8)]
    for chunk in more:
        pairs |= set(zip(*(part[:, 2, 0, 0].mul(255).round().int().tolist() for part in chunk), strict=True))
    expected = {(0, 1), (1, 0)} | {(a, b) for a in range(10, 14) for b in range(10, 14) if a != b}
    assert pairs == expected


@pytest.mark.parametrize("shots", [1, 3])
def test_clean_targets(shots):
    stack = forms(marked(shots, clean=True), shots, clean=True)
    inputs, targets = ShotPairs([stack], SHAPE, 0, 2000, clean_targets=True).chunk(0, 0)
    assert set(targets[:, 2].mul(255).round().unique().tolist()) == {shots}
    assert set(inputs[:, 2].mul(255).round().unique().tolist()) == set(range(shots))
    assert torch.equal(inputs[:, :2], targets[:, :2])


def test_a_clean_picture_is_no_shot():
    stack = forms(marked(2, clean=True), 2, clean=True)
    for part in ShotPairs([stack], SHAPE, 0, 2000).chunk(0, 0):
        assert set(part[:, 2].mul(255).round().unique().tolist()) == {0, 1}


def test_crops_reach_every_place():
    stack = Stack((marked(2, height=12, width=12),), 2, False)
    inputs, _ = ShotPairs([stack], (3, 8, 8), 0, 20_000).cut(20_000, seeded_generator(0), 8)
    rows, columns = (inputs[:, channel, 0, 0].mul(255).round().int().tolist() for channel in (0, 1))
    assert set(zip(rows, columns, strict=True)) == {(row, column) for row in range(5) for column in range(5)}


def test_crops_of_a_strip_do_not_meet_in_a_small_batch():
    stacks = [Stack((marked(2, scene=scene, height=12, width=12),), 2, False) for scene in range(25)]
    inputs, _ = ShotPairs(stacks, (3, 8, 8), 0, 1024).cut(1024, seeded_generator(0), 32)
    scenes = inputs[:32, 2, 0, 0].mul(255).div(10).floor().unique()
    assert len(scenes) > 12  # of 32 strips, each of a scene chosen from 25: about 18 are expected


@pytest.mark.parametrize("count", [0, 1, 2, 17])
def test_any_number_of_crops(count):
    inputs, targets = ShotPairs(STACKS, SHAPE, 0, count).cut(count, seeded_generator(0), 16)
    assert inputs.shape == targets.shape == (count, *SHAPE)


def test_the_noise_of_a_pair_is_independent_and_unchanged():
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(2, 100, 120, generator=generator).mul(20).add(128).round().clamp(0, 255).byte()
    inputs, targets = ShotPairs([forms(noise, 2)], (1, 16, 16), 0, 1000).chunk(0, 0)
    spread = torch.cat([inputs, targets]).std().mul(255).item()
    # 24,000 values, drawn many times each: the spread is known to 1 / sqrt(2 * 24000) = 0.5 %.
    assert spread == pytest.approx(math.sqrt(20**2 + 1 / 12), rel=0.02)
    centred = [part - part.mean() for part in (inputs, targets)]
    correlation = (centred[0] * centred[1]).mean() / (spread / 255) ** 2
    assert abs(correlation) < 0.05  # of independent values: 1 / sqrt(12000) = 0.01
