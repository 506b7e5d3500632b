"""Words over the picture: a pixel under a letter gets the colour of its word, every other pixel stays as it is.

    y = (1 - m) x + m u        m = 1 under a letter; u the word's colour, uniform in 0..1 for each channel

Noise2Noise (Lehtinen et al. 2018, section 3.2) removes words by training on other words over the same picture. The mean
of many such pictures is greyer than the clean one, so a squared error leaves grey shadows; their median is the clean
picture where less than half is covered, and the absolute difference, ``l1``, finds it.

The words are written on one fixed sheet, which continues periodically beyond its edges. A picture gets a piece of the
sheet from a random place, in random colours. The words lie on top of one another, and as many are shown, from the
uppermost down, as cover the wanted share of the sheet. So each pixel is covered with exactly that probability, words
have all sizes, and a draw is a few table look-ups for a picture of any size.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from layerkit.builtin.noises.drawing import strengths
from layerkit.contracts.fields import NumberOrRange
from layerkit.contracts.noise import Noise
from layerkit.contracts.specs import NoiseSpec

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_COVERAGE = 0.9
SIDE = 512
"""The side of the sheet, in pixels."""
WORDS, PLACES = 256, 5_000
"""The number of different words, and of words on the sheet, which then cover a little more than MAX_COVERAGE."""
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
LONGEST = 8
SIZES = 8, 24
"""The smallest and the largest size of the letters, in pixels."""
COLOURS = 64
"""The number of different colours of words in one picture."""


class TextSpec(NoiseSpec):
    """Words over the picture, in random colours and sizes and at random places, that cover a share of its pixels.

    Its mean is not the clean picture. The loss ``l1``, which finds the median, suits coverages up to 0.5, and
    ``annealed_l0``, which finds the most frequent value, suits all.
    """

    unbiased = False

    type: Literal["text"] = Field(description="Words over the picture.")
    coverage: Annotated[float | tuple[float, float], NumberOrRange(0.0, MAX_COVERAGE, (0, 0.5))] = Field(
        description="The share of pixels that are covered, on average; from a range [low, high] it is drawn uniformly, "
        'anew for every picture. Up to 0.5 the loss "l1" is suitable, above it only "annealed_l0".'
    )

    example: ClassVar[dict[str, Any]] = {"coverage": [0.0, 0.5]}

    def build(self) -> Text:
        return Text(self.coverage)


class Text(Noise):
    """Writes words over pictures.

    Args:
        coverage: the share of pixels that are covered, or a range (low, high) from which it is drawn uniformly, anew
            for every picture.
    """

    def __init__(self, coverage: float | tuple[float, float]) -> None:
        self.coverage = coverage

    def draw(self, source: Tensor, generator: torch.Generator) -> Tensor:
        """Return ``source`` with words over it; (N, C, H, W) in, the same shape and dtype out."""
        count, channels, height, width = source.shape
        device = source.device
        shown, word = sheet(device)
        corner = torch.randint(SIDE, (2, count, 1, 1), generator=generator, device=device)
        coverage = strengths(self.coverage, source, generator)
        palette = (count, COLOURS, channels)
        colours = torch.rand(palette, generator=generator, dtype=source.dtype, device=device)

        row = (torch.arange(height, device=device)[:, None] + corner[0]) % SIDE  # (N, H, 1)
        column = (torch.arange(width, device=device) + corner[1]) % SIDE  # (N, 1, W)
        at = (row * SIDE + column).flatten()
        covered = shown.index_select(0, at).view(count, 1, height, width) <= coverage
        number = word.index_select(0, at).view(count, height * width) % COLOURS
        colour = (number + COLOURS * torch.arange(count, device=device)[:, None]).flatten()
        written = colours.flatten(0, 1).index_select(0, colour).view(count, height, width, channels)
        return torch.where(covered, written.permute(0, 3, 1, 2), source)


@cache
def sheet(device: torch.device) -> tuple[Tensor, Tensor]:
    """Return two flat tensors (SIDE * SIDE,) that describe each pixel of the sheet.

    The first, float32, is the smallest coverage at which the pixel is covered. The second, int64, is the number of the
    uppermost word there, counted from 1, or 0 where there is none. They are constants that are made when first needed
    and kept until the process ends, because making them takes a hundred times as long as a draw.
    """
    import numpy as np
    from PIL import Image

    generator = torch.Generator().manual_seed(0)
    words = list(_words(generator))
    picture = Image.new("I", (SIDE, SIDE))
    chosen = torch.randint(WORDS, (PLACES,), generator=generator).tolist()
    places = torch.randint(SIDE, (PLACES, 2), generator=generator).tolist()
    for number, (index, (left, top)) in enumerate(zip(chosen, places, strict=True), 1):
        word = words[index]
        # The part of a word beyond an edge continues at the opposite edge.
        for x in (left, left - SIDE):
            for y in (top, top - SIDE):
                if x + word.width > 0 and y + word.height > 0:
                    picture.paste(number, (x, y), word)
    word = torch.from_numpy(np.array(picture, dtype=np.int64)).flatten()
    pixels = word.bincount(minlength=PLACES + 1)
    above = pixels.flip(0).cumsum(0).flip(0)  # pixels covered by a word and all words above it
    # Half of the word's own pixels count, so that the coverage is right on average.
    shown = (above - pixels / 2) / len(word)
    return shown.float()[word].to(device), word.to(device)


def _words(generator: torch.Generator) -> Iterator[Image]:
    """Yield black-and-white pictures of random words, each just large enough for its word."""
    from PIL import Image, ImageDraw, ImageFont

    for _ in range(WORDS):
        length = int(torch.randint(1, LONGEST + 1, (), generator=generator))
        letters = torch.randint(len(LETTERS), (length,), generator=generator).tolist()
        size = int(torch.randint(SIZES[0], SIZES[1] + 1, (), generator=generator))
        picture = Image.new("1", (2 * size * LONGEST, 2 * size))
        text = "".join(LETTERS[letter] for letter in letters)
        ImageDraw.Draw(picture).text((0, 0), text, fill=1, font=ImageFont.load_default(size))
        yield picture.crop(picture.getbbox())
