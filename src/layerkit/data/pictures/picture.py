"""A picture as it stands in a file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from layerkit.errors import ShapeError

WHOLE = (torch.uint8, torch.uint16, torch.uint32, torch.int8, torch.int16, torch.int32, torch.int64)
"""The kinds of whole numbers that pixels can be."""


@dataclass(frozen=True)
class Picture:
    """A picture in the numbers of its file; see :mod:`layerkit.data.pictures.scale` for what black and white are.

    Attributes:
        pixels: (C, H, W) with one channel (gray) or three (red, green, blue), whole numbers or floats.
        alpha: (H, W) of the same dtype, the largest number where the picture is opaque, or 1 where it is a float; None
            when it has no transparency.

    Raises:
        ShapeError: when they are something else.
    """

    pixels: Tensor
    alpha: Tensor | None = None

    def __post_init__(self) -> None:
        pixels, alpha = self.pixels, self.alpha
        known = pixels.is_floating_point() or pixels.dtype in WHOLE
        if not known or pixels.dim() != 3 or pixels.shape[0] not in (1, 3):
            raise ShapeError(
                "a picture is a tensor (1 or 3, height, width) of whole numbers or floats, not "
                f"{pixels.dtype} {tuple(pixels.shape)}"
            )
        if alpha is not None and (alpha.dtype != pixels.dtype or alpha.shape != pixels.shape[1:]):
            raise ShapeError(
                f"alpha must be a {str(pixels.dtype).removeprefix('torch.')} tensor {tuple(pixels.shape[1:])} like the "
                f"picture, not {alpha.dtype} {tuple(alpha.shape)}"
            )


class Page(NamedTuple):
    """One of the pictures of a file.

    Attributes:
        picture: the picture.
        duration: for how many milliseconds it is shown, in an animation.
    """

    picture: Picture
    duration: float = 0
