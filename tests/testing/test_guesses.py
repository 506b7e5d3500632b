"""Guesses at a mistake: made where they explain all the numbers, and not where they do not."""

from __future__ import annotations

import pytest
import torch

from layerkit.testing.instruments.guesses import guess

RIGHT = torch.tensor([[1.0, -2.0, 3.0], [0.5, 4.0, -1.5]], dtype=torch.float64)
ONE = torch.tensor([1.5], dtype=torch.float64)
SQUARE = torch.tensor([[1.0, 2.0], [3.0, 5.0]], dtype=torch.float64)
COUNTS = {"batch size": 3, "input dimension 1": 3, "height": 7}


@pytest.mark.parametrize(
    ("given", "expected", "text"),
    [
        (-RIGHT, RIGHT, "the sign is turned around: everywhere -1 times what it should be"),
        (2 * RIGHT, RIGHT, "it is counted twice: everywhere 2 times what it should be"),
        (RIGHT / 2, RIGHT, "a factor of 2 is missing: everywhere 0.5 times what it should be"),
        (RIGHT / 7, RIGHT, "it is 1/7 of what it should be: divided by the height (7)"),
        (
            RIGHT * 3,
            RIGHT,
            "it is 3 times what it should be: multiplied by the batch size or the input dimension 1 (3)",
        ),
        (RIGHT / 5, RIGHT, "it is 1/5 of what it should be: a mean instead of a sum?"),
        (RIGHT * 0.7, RIGHT, "everywhere 0.7 times what it should be"),
        (RIGHT * (1 + 1e-7), RIGHT, "it differs in the last digits alone: rounding, or a constant with too few digits"),
        (0 * RIGHT, RIGHT, "it is zero everywhere: the gradient is dropped, or was written to another tensor"),
        (RIGHT / 0, RIGHT, "some values are infinite or not a number: a division by zero, or memory that was never wr"),
        (SQUARE.t(), SQUARE, "transposed: dimensions 0 and 1 are exchanged"),
        (RIGHT.flip(1), RIGHT, "dimension 1 runs backwards"),
        (RIGHT * torch.tensor([[1.0], [2.0]]), RIGHT, "right for some indices of dimension 0, wrong for 1"),
        (RIGHT * torch.tensor([1.0, 1.0, 3.0]), RIGHT, "right for some indices of dimension 1, wrong for 2"),
    ],
)
def test_a_guess_explains_the_numbers(given: torch.Tensor, expected: torch.Tensor, text: str) -> None:
    assert guess(given, expected, COUNTS).startswith(text)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (1.7 * ONE, ONE),  # one value is a multiple of any other
        (ONE / 5, ONE),
        (ONE * (1 + 1e-7), ONE),
        (RIGHT + torch.linspace(0.1, 0.6, 6).view(2, 3), RIGHT),
        (RIGHT, RIGHT.view(3, 2)),
        (RIGHT, RIGHT * torch.inf),
    ],
)
def test_nothing_is_guessed_where_nothing_explains_them(given: torch.Tensor, expected: torch.Tensor) -> None:
    assert guess(given, expected, COUNTS) == ""


def test_one_value_is_explained_by_what_people_do() -> None:
    assert guess(-ONE, ONE) == "the sign is turned around: -1 times what it should be"
    assert guess(ONE / 3, ONE, COUNTS).startswith("it is 1/3 of what it should be: divided by the batch size")


def test_samples_are_spoken_of_where_there_are_some() -> None:
    given = RIGHT * torch.tensor([[1.0], [2.0]])
    assert guess(given, RIGHT, COUNTS, samples=True) == "right for some samples, wrong for 1"
    assert guess(0 * RIGHT, RIGHT) == "it is zero everywhere", "what is no gradient is not a dropped one"


def test_zeros_that_are_zero_anyway_are_not_right() -> None:
    expected = torch.zeros(20, dtype=torch.float64)
    expected[:4] = torch.tensor([1.0, 2.0, 3.0, 4.0])
    given = expected.clone()
    given[:4] *= torch.tensor([1.1, 1.2, 1.3, 1.4])
    assert guess(given, expected) == ""
