from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image


@pytest.fixture
def read() -> Callable[[Path], np.ndarray]:
    """Return a function that gives a PNG file as (height, width, 3) integers."""

    def read(path: Path) -> np.ndarray:
        with Image.open(path) as image:
            assert image.format == "PNG"
            return np.asarray(image.convert("RGB")).astype(int)

    return read


@pytest.fixture
def pixels_of() -> Callable[[np.ndarray, tuple[int, int, int]], np.ndarray]:
    """Return a function that gives the (row, column) of every pixel of a colour."""
    return lambda picture, colour: np.argwhere((picture == colour).all(axis=2))


@pytest.fixture
def colourful() -> Callable[..., torch.Tensor]:
    """Return a function that draws random pictures."""

    def colourful(count: int, channels: int = 3, height: int = 32, width: int = 32, seed: int = 0) -> torch.Tensor:
        return torch.rand(count, channels, height, width, generator=torch.Generator().manual_seed(seed))

    return colourful
