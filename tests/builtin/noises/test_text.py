from __future__ import annotations

import json

import pytest
import torch
from pydantic import ValidationError
from scipy import stats

from layerkit import Text
from layerkit.builtin.noises.text import COLOURS, MAX_COVERAGE, PLACES, SIDE, SIZES, TextSpec, sheet

CPU = torch.device("cpu")


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def blank(*shape: int) -> torch.Tensor:
    """Return pictures of a value that is no colour."""
    return torch.full(shape, 2.0)


@pytest.mark.parametrize("coverage", [0.0, 0.02, 0.25, 0.5, MAX_COVERAGE])
def test_a_whole_sheet_is_covered_as_much_as_was_asked_for(coverage):
    drawn = Text(coverage).draw(blank(1, 3, SIDE, SIDE), generator())
    covered = drawn != 2
    assert torch.equal(covered, covered[:, :1].expand_as(covered))
    assert covered.double().mean().item() == pytest.approx(coverage, abs=0.005)


def test_every_pixel_of_a_picture_is_covered_equally_often():
    covered = (Text(0.3).draw(blank(20_000, 1, 6, 5), generator()) != 2).double().mean(0)
    assert ((covered - 0.3).abs() < 5 * (0.3 * 0.7 / 20_000) ** 0.5 + 0.005).all()


def test_a_range_is_drawn_from_anew_for_every_picture():
    covered = (Text((0.1, 0.6)).draw(blank(200, 1, SIDE // 2, SIDE // 2), generator()) != 2).double().mean((1, 2, 3))
    assert covered.min() > 0.05
    assert covered.max() < 0.7
    assert covered.mean().item() == pytest.approx(0.35, abs=0.05)
    assert covered.std().item() == pytest.approx(0.5 / 12**0.5, rel=0.2)


def test_a_picture_is_a_piece_of_the_endless_sheet_in_its_own_colours():
    """Every pixel under one word has one colour, and where the piece lies is what the sheet says."""
    shown, word = (values.view(SIDE, SIDE) for values in sheet(CPU))
    coverage = 0.4
    drawn = Text(coverage).draw(blank(6, 3, 40, SIDE + 30), generator(3))
    top, left = torch.randint(SIDE, (2, 6, 1, 1), generator=generator(3)).flatten(1)
    for picture, row, column in zip(drawn, top.tolist(), left.tolist(), strict=True):
        rows, columns = (torch.arange(40) + row) % SIDE, (torch.arange(SIDE + 30) + column) % SIDE
        covered = shown[rows][:, columns] <= coverage
        assert torch.equal(picture[0] != 2, covered)
        numbers, colours = word[rows][:, columns][covered] % COLOURS, picture[:, covered]
        palette = {int(number): colours[:, numbers == number] for number in numbers.unique()}
        assert all(torch.equal(its, its[:, :1].expand_as(its)) for its in palette.values())
        assert len({tuple(its[:, 0].tolist()) for its in palette.values()}) == len(palette)
    assert not torch.equal(drawn[0], drawn[1])


def test_colours_are_uniform():
    drawn = Text(0.5).draw(blank(4000, 1, 1, 1), generator()).flatten().double()
    assert stats.kstest(drawn[drawn != 2].numpy(), "uniform").pvalue > 1e-4


def test_the_sheet_holds_words_of_many_sizes_that_go_on_beyond_its_edges():
    shown, word = (values.view(SIDE, SIDE) for values in sheet(CPU))
    assert MAX_COVERAGE < (word > 0).double().mean() < 0.99
    assert (shown[word == 0] > MAX_COVERAGE).all()
    uppermost = word[word >= PLACES - 300].unique().tolist()  # of which little is hidden
    rows = [(word == number).any(1).nonzero() for number in uppermost]
    heights = {int(its.max() - its.min()) + 1 for its in rows}
    assert len({height for height in heights if height < 2 * SIZES[1]}) > 10
    both_sides = set(word[:, 0].tolist()) & set(word[:, -1].tolist())
    assert len(both_sides - {0}) > 10
    later = shown[word == PLACES].max()
    assert later < shown[word == PLACES // 2].min()  # words that lie above are shown first


def test_the_sheet_is_a_constant():
    kept = [values.clone() for values in sheet(CPU)]
    Text(0.5).draw(torch.rand(2, 3, 8, 8), generator())
    sheet.cache_clear()
    assert all(torch.equal(mine, other) for mine, other in zip(sheet(CPU), kept, strict=True))


def test_the_median_is_the_clean_picture_to_a_half_and_the_mean_is_not():
    source = torch.tensor([0.0, 0.1, 0.5, 0.9, 1.0]).view(1, 1, 1, 5).expand(20_000, 1, 1, 5)
    drawn = Text(0.45).draw(source, generator())
    torch.testing.assert_close(drawn.median(0).values, source[0])
    torch.testing.assert_close(drawn.mean(0), 0.55 * source[0] + 0.45 * 0.5, rtol=0, atol=0.02)
    assert not TextSpec.unbiased


@pytest.mark.parametrize("coverage", [1, -0.1, [0.5, 0.95], "0.5"])
def test_coverages_that_are_refused(coverage):
    with pytest.raises(ValidationError, match=r"a number from 0 to 0.9, or a range of them such as \[0, 0.5\]"):
        TextSpec.model_validate_json(json.dumps({"type": "text", "coverage": coverage}))
