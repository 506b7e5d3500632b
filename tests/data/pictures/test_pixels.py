"""What is done to pixels, of 8 bits and of 16."""

from __future__ import annotations

import pytest
import torch

from layerkit.data.pictures import mirrored, resized, unit, with_channels, with_sixteen_bits


def test_gray_is_the_luma_and_colour_of_gray_is_gray():
    colours = torch.tensor([[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]], dtype=torch.uint8).T[:, None]
    assert with_channels(colours, 1).tolist() == [[[76, 150, 29, 255]]]
    assert torch.equal(with_channels(colours[:1], 3), colours[:1].expand(3, -1, -1))


def test_bytes_as_numbers_from_0_to_1():
    values = torch.arange(256, dtype=torch.uint8)
    numbers = unit(values)
    assert numbers.dtype == torch.float32
    assert (numbers[0], numbers[-1]) == (0, 1)
    assert torch.equal((numbers * 255).round(), values.float())
    torch.testing.assert_close(numbers, torch.linspace(0, 1, 256))
    assert torch.equal(values, torch.arange(256))


def test_sixteen_bits_as_numbers_from_0_to_1():
    assert unit(torch.tensor([0, 257, 65535], dtype=torch.uint16)).tolist() == pytest.approx([0, 1 / 255, 1])


def test_eight_bits_as_sixteen():
    deep = with_sixteen_bits(torch.tensor([[[0, 1, 255]]], dtype=torch.uint8))
    assert deep.dtype == torch.uint16
    assert deep.tolist() == [[[0, 257, 65535]]]
    assert with_sixteen_bits(deep) is deep


@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16])
def test_mirrored(dtype):
    assert mirrored(torch.tensor([[[1, 2, 3]]], dtype=dtype)).tolist() == [[[3, 2, 1]]]


def test_sixteen_bits_keep_their_grades_in_other_sizes_and_channels():
    ramp = torch.linspace(0, 600, 64).round().to(torch.uint16).expand(3, 64, 64)
    small = resized(ramp, 32, 32)
    assert small.dtype == torch.uint16
    assert len(small.int().unique()) == 32
    assert torch.equal(with_channels(ramp, 1)[0], ramp[0])
