"""What is black and white in pictures."""

from __future__ import annotations

import pytest
import torch

from layerkit.data.pictures import Scale, fitted, nominal
from layerkit.data.pictures.scale import usual
from layerkit.errors import DataError


def ramp(low: float, high: float, dtype: torch.dtype) -> torch.Tensor:
    return torch.linspace(low, high, 10_000, dtype=torch.float64).reshape(1, 100, 100).to(dtype)


@pytest.mark.parametrize(
    ("dtype", "high", "white"),
    [
        (torch.uint8, 100, 255),
        (torch.uint16, 300, 65535),
        (torch.float32, 1, 1),
        (torch.float64, 255, 255),
        (torch.float32, 40_000, 65535),
        (torch.float32, 1e7, 1e7),
        (torch.int32, 1e6, 1e6),
    ],
)
def test_what_is_white_in_all_pictures_of_a_kind(dtype, high, white):
    assert nominal(ramp(0, high, dtype)).white == pytest.approx(white, rel=2e-3)


@pytest.mark.parametrize(
    ("dtype", "ends", "expected"),
    [
        (torch.uint8, (0, 20), (0, 255)),
        (torch.uint16, (0, 65535), (0, 65535)),
        (torch.uint16, (1000, 20_000), (0, 65535)),
        (torch.uint16, (0, 300), (0, 300)),
        (torch.uint16, (10_000, 10_200), (10_000, 10_200)),
        (torch.uint16, (60_000, 60_200), (60_000, 60_200)),
        (torch.uint16, (40_000, 65_535), (0, 65_535)),
        (torch.float32, (0, 1), (0, 1)),
        (torch.float32, (-0.05, 1), (0, 1)),
        (torch.float32, (-1000, 1000), (-1000, 1000)),
        (torch.float64, (1e9, 1e9 + 5), (1e9, 1e9 + 5)),
    ],
)
def test_a_range_of_its_own(dtype, ends, expected):
    scale = fitted(ramp(*ends, dtype))
    tolerance = 5e-3 * (expected[1] - expected[0])
    assert (scale.black, scale.white) == (
        pytest.approx(expected[0], abs=tolerance),
        pytest.approx(expected[1], abs=tolerance),
    )


def test_a_few_broken_pixels_do_not_count():
    pixels = ramp(0, 300, torch.int32)
    pixels[0, 3, 4] = 65535
    assert fitted(pixels.to(torch.uint16)).white < 301


def test_constant_and_empty_pictures_have_one_too():
    for pixels in (torch.full((3, 5, 5), 7.0), torch.zeros(1, 5, 5, dtype=torch.uint16), torch.zeros(1, 0, 5)):
        assert fitted(pixels).unit > 0
        assert nominal(pixels).unit > 0


def test_floats_that_evidently_go_to_255():
    assert usual(ramp(-20, 280, torch.float32)) == Scale()
    assert usual(ramp(0, 1, torch.float32)).white == pytest.approx(1, rel=2e-3)


def test_values_that_are_not_finite():
    with pytest.raises(DataError, match="some values are not finite; replace them"):
        fitted(torch.tensor([[[0.0, torch.inf]]]))


@pytest.mark.parametrize(
    "dtype",
    [torch.uint8, torch.uint16, torch.int16, torch.uint32, torch.int32, torch.float16, torch.float32, torch.float64],
)
def test_there_and_back(dtype):
    pixels = ramp(0, 100, dtype)
    for scale in (Scale(), Scale(0, 100), Scale(-3, 90, closed=False)):
        again = scale.pixels(scale.values(pixels), dtype)
        assert again.dtype == dtype
        torch.testing.assert_close(
            again.double(), pixels.double(), rtol=0, atol=0.1 if dtype == torch.float16 else 1e-4
        )


def test_beyond_the_ends():
    values = torch.tensor([-30.0, 300.0])
    assert Scale().pixels(values.clone(), torch.float32).tolist() == [0, 255]
    assert Scale(closed=False).pixels(values.clone(), torch.float32).tolist() == [-30, 300]
    assert Scale(closed=False).pixels(values.clone(), torch.uint8).tolist() == [0, 255]


def test_words():
    assert str(Scale(0, 300)) == "255 standing for 300"
    assert str(Scale(100, 300)) == "0 standing for 100 and 255 for 300"
