"""Converts the numbers of a picture to values from 0 to 255, for networks and estimates of noise, and back.

Which numbers are black and white is known for 8 and 16 bits. But a photograph of 16 bits may be dark all over, with
values around 200 of 65,535, and floats can mean anything. Such a picture has a range of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from layerkit.errors import DataError

WHITES = {torch.uint8: 255.0, torch.uint16: 65535.0}
"""The value of white for each dtype of whole numbers."""
DARK = 4.0
"""Floats from 0 to 1 stay below it even with noise; of pictures from 0 to 255 only black ones do."""
BRIGHT = 1024.0
"""Floats from 0 to 255 stay below it even with noise."""
GUESSES = ((DARK, 1.0), (BRIGHT, 255.0), (4 * 65535.0, 65535.0))
"""The value of white in other numbers, by a limit for the largest: noise may make values larger than white."""
DIM = 1 / 4
"""A picture that uses a smaller share of the range than this gets a range of its own."""
FEW = 0.1
"""Percentage of the values that may be beyond the ends of a picture's own range, such as those of broken pixels."""
LOOKED_AT = 1_000_000
"""How many values of a picture are used to find its range, evenly spread."""


@dataclass(frozen=True)
class Scale:
    """The values of black and white.

    Attributes:
        black, white: in the numbers of the picture.
        closed: whether nothing can be blacker or whiter, so that denoised values are clipped there.
    """

    black: float = 0.0
    white: float = 255.0
    closed: bool = True

    @property
    def unit(self) -> float:
        """How much 1 of 255 is in the numbers of the picture."""
        return (self.white - self.black) / 255

    def values(self, pixels: Tensor) -> Tensor:
        """Return pixels as values from 0 to 255, float32, in memory of their own."""
        values = pixels.to(_number(pixels.dtype), copy=True)
        if self.black:
            values.sub_(self.black)
        if self.unit != 1:
            values.div_(self.unit)
        return values.float()

    def to_unit(self, pixels: Tensor) -> Tensor:
        """Return pixels, floats that are overwritten, as numbers from 0 to 1."""
        if self.black:
            pixels.sub_(self.black)
        return pixels.div_(self.white - self.black)

    def pixels(self, values: Tensor, dtype: torch.dtype) -> Tensor:
        """Return values from 0 to 255, which may be overwritten, as pixels of a dtype; whole numbers are rounded."""
        if self.closed:
            values.clamp_(0, 255)
        values = values.to(torch.promote_types(values.dtype, _number(dtype)))
        if self.unit != 1:
            values.mul_(self.unit)
        if self.black:
            values.add_(self.black)
        if dtype.is_floating_point:
            return values.to(dtype)
        ends = torch.iinfo(dtype)
        return values.round_().clamp_(ends.min, ends.max).to(dtype)

    def __str__(self) -> str:
        if not self.black:
            return f"255 standing for {self.white:.4g}"
        return f"0 standing for {self.black:.4g} and 255 for {self.white:.4g}"


def _number(dtype: torch.dtype) -> torch.dtype:
    """Return the kind of float in which such numbers are computed with."""
    exact = (torch.uint8, torch.uint16, torch.int8, torch.int16, torch.float16, torch.bfloat16, torch.float32)
    return torch.float32 if dtype in exact else torch.float64


def nominal(pixels: Tensor) -> Scale:
    """Return the usual scale of pictures with this dtype; for other than 8 and 16 bits it is a guess.

    Raises:
        DataError: when not all values are finite.
    """
    white = WHITES.get(pixels.dtype)
    if white is not None:
        return Scale(0.0, white)
    most = _ends(pixels)[1]
    return Scale(0.0, next((white for limit, white in GUESSES if most < limit), most), closed=False)


def fitted(pixels: Tensor) -> Scale:
    """Return the scale in which a picture is denoised best: for 8 bits the usual one, else its own if it is dim.

    Black is 0, unless all values lie far from that; so where noise comes from counted photons, its variance is
    proportional to the values.

    Raises:
        DataError: when not all values are finite.
    """
    usual = WHITES.get(pixels.dtype)
    if pixels.dtype == torch.uint8:
        return Scale()
    low, high = _ends(pixels)
    black = 0.0 if -high / 4 <= low <= high / 2 else low
    if usual is not None and high - black >= DIM * usual:
        return Scale(0.0, usual)
    return Scale(black, high if high > black else black + 255.0, closed=False)


def usual(pixels: Tensor) -> Scale:
    """Return the scale of pictures whose range is not given: that of floats from 0 to 255, if the values look like it.

    Raises:
        DataError: when not all values are finite.
    """
    if pixels.is_floating_point() and DARK <= _ends(pixels)[1] < BRIGHT:
        return Scale()
    return fitted(pixels)


def in_whole_numbers(pixels: Tensor) -> Tensor:
    """Return pixels of 8 or 16 bits as they are, and others as 16 bits, black and white as :func:`nominal` finds them.

    Raises:
        DataError: when not all values are finite.
    """
    if pixels.dtype in WHITES:
        return pixels
    return nominal(pixels).values(pixels).clamp_(0, 255).mul_(257).round_().to(torch.uint16)


def _ends(pixels: Tensor) -> tuple[float, float]:
    """Return the bounds between which all but a few values lie."""
    step = max(1, int((pixels.numel() / LOOKED_AT) ** 0.5))
    values = pixels[:, ::step, ::step].cpu().double().numpy()
    if not values.size:
        return 0.0, 0.0
    if pixels.is_floating_point() and not all(bool(plane.isfinite().all()) for plane in pixels):
        raise DataError("some values are not finite; replace them, by the mean of their neighbours for instance")
    low, high = np.percentile(values, (FEW, 100 - FEW))
    return float(low), float(high)
