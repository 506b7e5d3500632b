"""The common interface of open picture files, and the rotation of their pixels to the right way up."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch

from layerkit.data.pictures.picture import Page, Picture
from layerkit.data.pictures.tags import Tags
from layerkit.errors import TooLargeError

MAX_PIXELS = 89_478_485
"""Pixels of one picture, Pillow's limit: a file of a few bytes can claim any number."""

Pixels = np.ndarray[Any, np.dtype[Any]]


class Source(ABC):
    """An open file of pictures; the caller that opened the file closes it.

    Attributes:
        count: how many pictures there are.
        suffix: of a file that can hold all that this one does.
        tags: the metadata of the pictures.
        loop: how often an animation is shown, 0 for ever.
        note: what a user should know about the file, a part of a sentence.
        told: the context in which the file is read, which turns errors into those that name it.
    """

    count: int = 1
    suffix: str = ".png"
    tags: Tags = Tags()
    loop: int = 0
    note: str = ""
    told: Callable[[], AbstractContextManager[None]] = nullcontext

    @abstractmethod
    def read(self) -> Iterator[Page]:
        """Yield the pictures one after another; what is wrong with the file is raised as it comes."""

    def pages(self) -> Iterator[Page]:
        """Yield the pictures one after another; no more than one of them is in memory.

        Raises:
            DataError: when one is damaged; it names the file.
        """
        pages = self.read()
        while True:
            with self.told():
                page = next(pages, None)
            if page is None:
                return
            yield page


def check_size(height: int, width: int) -> None:
    """Refuse a picture that is too large, before memory is allocated for it.

    Raises:
        TooLargeError: when it is.
    """
    if height * width > MAX_PIXELS:
        raise too_large(MAX_PIXELS)


def too_large(limit: int) -> TooLargeError:
    """Return the error about a picture of more pixels than a limit."""
    return TooLargeError(f"more than {limit // 1_000_000} million pixels; make the picture smaller or cut it up")


def picture_of(pixels: Pixels, alpha: bool) -> Picture:
    """Return an array (H, W) or (H, W, C) as a picture; ``alpha``: whether its last channel is transparency."""
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    pixels = pixels.astype(pixels.dtype.newbyteorder("="), copy=False)
    planes = torch.from_numpy(np.ascontiguousarray(np.moveaxis(pixels, 2, 0)))
    return Picture(planes[:-1], planes[-1]) if alpha else Picture(planes)


def array_of(picture: Picture) -> Pixels:
    """Return a picture as an array (H, W) or (H, W, C), its transparency the last channel."""
    planes = [*picture.pixels] if picture.alpha is None else [*picture.pixels, picture.alpha]
    arrays = [plane.cpu().numpy() for plane in planes]
    return arrays[0] if len(arrays) == 1 else np.stack(arrays, axis=-1)


def upright(pixels: Pixels, orientation: int) -> Pixels:
    """Return an array (H, W, ...) as its tag for the orientation, 1 to 8, says that it is to be seen."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return pixels
