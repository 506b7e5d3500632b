"""How an array holds pictures: one or many, channels first or last."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Arrangement:
    """How an array holds pictures.

    Attributes:
        count: how many pictures there are.
        shape: that of one of them in the array.
        axes: "HW", "HWC" or "CHW".
    """

    count: int
    shape: tuple[int, ...]
    axes: str

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.shape[self.axes.index("H")], self.shape[self.axes.index("W")]

    def picture(self, page: Tensor) -> Tensor:
        """Return one of the pictures (C, H, W), in its own memory."""
        if self.axes == "HW":
            return page[None]
        return page.permute(2, 0, 1) if self.axes == "HWC" else page

    def page(self, pixels: Tensor) -> Tensor:
        """Return a picture (C, H, W) as it stands in the array."""
        if self.axes == "HW":
            return pixels[0]
        return pixels.permute(1, 2, 0) if self.axes == "HWC" else pixels


def arrangement(shape: tuple[int, ...]) -> Arrangement | None:
    """Return how an array of such a shape holds pictures, or None where it holds none.

    (H, W) is a gray picture, (H, W, C) and (C, H, W) one of C channels, 1 for gray, 3 for red, green and blue, or, as
    the last of the axes, 4 with transparency. Of three axes of which none is C, the first counts gray pictures; of four
    it always counts pictures.
    """
    if 0 in shape:
        return None
    match shape:
        case (_, _):
            return Arrangement(1, shape, "HW")
        case (_, _, 1 | 3 | 4):
            return Arrangement(1, shape, "HWC")
        case (1 | 3, _, _):
            return Arrangement(1, shape, "CHW")
        case (count, _, _):
            return Arrangement(count, shape[1:], "HW")
        case (count, _, _, 1 | 3 | 4):
            return Arrangement(count, shape[1:], "HWC")
        case (count, 1 | 3, _, _):
            return Arrangement(count, shape[1:], "CHW")
    return None
