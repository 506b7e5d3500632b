"""What a picture is."""

from __future__ import annotations

import pytest
import torch

from layerkit.data.pictures import Picture
from layerkit.errors import ShapeError


@pytest.mark.parametrize("pixels", [torch.zeros(3, 4, 4, dtype=torch.bool), torch.zeros(2, 4, 4), torch.zeros(3, 4)])
def test_pictures_are_gray_or_rgb_of_numbers(pixels):
    with pytest.raises(
        ShapeError, match=r"a picture is a tensor \(1 or 3, height, width\) of whole numbers or floats, not"
    ):
        Picture(pixels)


@pytest.mark.parametrize("alpha", [torch.zeros(4, 4), torch.zeros(4, 5, dtype=torch.uint16)])
def test_alpha_is_like_the_picture(alpha):
    with pytest.raises(ShapeError, match=r"alpha must be a uint16 tensor \(4, 4\) like the picture, not torch\."):
        Picture(torch.zeros(3, 4, 4, dtype=torch.uint16), alpha)
