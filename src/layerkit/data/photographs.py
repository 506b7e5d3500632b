"""The built-in data set: seven photographs that come with layerkit and scikit-image."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from torch import Tensor

from layerkit.data.dataset import Dataset, Request
from layerkit.data.picturefolder import asked_by_noise, picture_dataset, scaled, source_sides, views
from layerkit.data.pictures import read_picture
from layerkit.errors import DataError

TRAINING = (
    ("skimage", "data/astronaut.png"),  # NASA, public domain
    ("skimage", "data/chelsea.png"),  # Stefan van der Walt, CC0
    ("skimage", "data/coffee.png"),  # Rachel Michetti, CC0
    ("skimage", "data/motorcycle_left.png"),  # Middlebury 2014 stereo benchmark
    ("skimage", "data/rocket.jpg"),  # SpaceX, public domain
)
VALIDATION = (
    ("layerkit", "data/photos/china.jpg"),  # danielbuechele, CC BY 2.0
    ("layerkit", "data/photos/flower.jpg"),  # vultilion, CC BY 2.0
)
MAX_ENLARGEMENT = 4.0
"""How much the photographs are enlarged at most, when a network's input is larger than they are."""


def builtin_photographs(request: Request) -> Dataset:
    """Return crops of seven photographs: five for training, the other two for validation.

    Raises:
        DataError: when a photograph is missing from the installed packages, or much too small for the input.
    """
    training, validation = (
        [views(_enlarged(read_photograph(*name), request), request, augmented) for name in names]
        for names, augmented in ((TRAINING, True), (VALIDATION, False))
    )
    text = "7 photographs that come with layerkit and scikit-image"
    return picture_dataset(text, training, validation, request, recolour=True)


def read_photograph(package: str, name: str) -> Tensor:
    """Return a photograph of an installed package, without importing the package, as uint8 (C, H, W).

    Raises:
        DataError: when the package is not installed, or the photograph cannot be read.
    """
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise DataError(
            f'the data set "photos" needs {package} for {name}, and {package} is not installed; '
            "install it, or use a folder of pictures"
        )
    return read_picture(Path(spec.submodule_search_locations[0]) / name).pixels


def _enlarged(pixels: Tensor, request: Request) -> Tensor:
    """Return a picture, enlarged if it is too small for a crop.

    Raises:
        DataError: when it would have to be enlarged too much.
    """
    sides = source_sides(request)
    scale = max(side / length for side, length in zip(sides, pixels.shape[1:], strict=True))
    if scale > MAX_ENLARGEMENT:
        raise DataError(
            f"the built-in photographs are too small for crops of {sides[0]}x{sides[1]} pixels"
            f"{asked_by_noise(request)}; "
            'use a folder of larger pictures or a smaller network "input"'
        )
    return scaled(pixels, scale) if scale > 1 else pixels
