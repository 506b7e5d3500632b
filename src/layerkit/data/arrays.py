"""Pictures in a caller's memory: checks of their arrays, and pairs of them written as a data file.

A training that can be resumed later needs its data on disk. So pairs in memory are written into an ordinary ``.npz``
file (see :mod:`layerkit.data.npzfiles`), which can be used like every data file.
"""

from __future__ import annotations

import hashlib
import io
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
import torch
from torch import Tensor

from layerkit.data.pairfiles import RANGE
from layerkit.data.pictures import Picture, Scale, arrangement
from layerkit.data.pictures.scale import BRIGHT, DARK, WHITES
from layerkit.disk import write_atomically
from layerkit.errors import DataError, DataWarning, ShapeError

Array = Tensor | np.ndarray[Any, np.dtype[Any]]
Given = TypeVar("Given", bound=Array)
"""A torch tensor or a numpy array; the caller gets back the type that it passed."""


def tensor_of(values: Array, name: str) -> Tensor:
    """Return a tensor or a numpy array as a tensor, in the same memory where torch can share it.

    Args:
        values: uint8, uint16 or floats.
        name: its name in errors.

    Raises:
        DataError: when it is something else.
    """
    if isinstance(values, np.ndarray):
        dtype = values.dtype.newbyteorder("=")
        if dtype not in (np.uint8, np.uint16, np.float16, np.float32, np.float64):
            raise _wrong_kind(name, str(values.dtype))
        values = torch.from_numpy(np.require(values, dtype, ["C_CONTIGUOUS", "WRITEABLE"]))
    if not isinstance(values, Tensor):
        raise _wrong_kind(name, type(values).__name__)
    if values.dtype not in WHITES and not values.is_floating_point():
        raise _wrong_kind(name, str(values.dtype))
    if values.is_meta:
        raise DataError(f'{name}: tensors on the device "meta" hold no values')
    return values.detach()


def pictures(values: Array, name: str, channels: int | None = None) -> Tensor:
    """Return pictures as a tensor like :func:`tensor_of`, and warn if the values clearly do not go from 0 to 255.

    The warning points to the line that called layerkit.

    Args:
        values: (N, C, H, W), uint8, or floats from 0 to 255, which noise may exceed, or uint16 from 0 to 65,535.
        name: their name in errors.
        channels: the required number of channels; None where any number is allowed.

    Raises:
        DataError: when it is not a tensor or array of such a dtype, or some values are not finite.
        ShapeError: when it has another shape.
    """
    tensor = tensor_of(values, name)
    if tensor.dim() != 4 or 0 in tensor.shape[1:] or channels not in (None, tensor.shape[1]):
        raise ShapeError(
            f"{name}: expected pictures of shape (N, {channels or 'C'}, H, W), got {tuple(tensor.shape)}"
            f"{_reshaped(values, name, (channels,) if channels else (1, 3))}"
        )
    if tensor.dtype in WHITES or not len(tensor):
        return tensor
    least, most = (float(end) for end in tensor.aminmax())
    if not np.isfinite([least, most]).all():  # if a value is NaN, so are minimum and maximum
        raise DataError(f"{name}: some values are not finite; expected values from 0 to 255")
    greatest = max(-least, most)
    if 0 < greatest < DARK or greatest > BRIGHT:
        remedy = "if 1 is white in them, multiply them by 255" if greatest < DARK else "divide 16-bit values by 257"
        text = f"{name}: the values go from {least:.4g} to {most:.4g}, but 0 to 255 is expected; {remedy}"
        warnings.warn(text, DataWarning, stacklevel=_level_of_caller())
    return tensor


def each_picture(values: Given, change: Callable[[Picture], Picture]) -> Given:
    """Return an array of one or more pictures with each of them changed, in the same arrangement and dtype.

    Args:
        values: a tensor or numpy's array, uint8, uint16 or floats, in a shape that
            :func:`layerkit.data.pictures.arrangement.arrangement` knows.
        change: keeps the shape and the dtype of a picture.

    Raises:
        DataError: when it is no tensor or array of such a dtype.
        ShapeError: when it has another shape.
    """
    tensor = tensor_of(values, "pictures")
    arranged = arrangement(tuple(tensor.shape))
    if arranged is None:
        raise ShapeError(
            "pictures: expected the shape (H, W), (H, W, C), (C, H, W), (N, H, W), (N, H, W, C) or (N, C, H, W), C "
            f"being 1 or 3, got {tuple(tensor.shape)}"
        )
    output = torch.empty(arranged.count, *arranged.shape, dtype=tensor.dtype, device=tensor.device)
    for given, place in zip(tensor.reshape(output.shape), output, strict=True):
        pixels = arranged.picture(given)
        picture = Picture(pixels[:3], pixels[3]) if len(pixels) == 4 else Picture(pixels)
        done = change(picture)
        planes = done.pixels if done.alpha is None else torch.cat([done.pixels, done.alpha[None]])
        place.copy_(arranged.page(planes))
    output = output.reshape(tensor.shape)
    return cast(Given, output.numpy() if isinstance(values, np.ndarray) else output)


def _reshaped(values: Array, name: str, channels: tuple[int, ...]) -> str:
    """Return how to turn values of this shape into pictures (N, C, H, W), for an error; "" where it is not clear."""
    shape, turn = values.shape, "transpose" if isinstance(values, np.ndarray) else "permute"
    if len(shape) == 4 and shape[3] in channels and shape[1] not in channels:
        return f"; turn pictures (N, H, W, C) with {name}.{turn}(0, 3, 1, 2)"
    if len(shape) == 3 and shape[2] in channels and shape[0] not in channels:
        return f"; one picture (H, W, C) alone is {name}.{turn}(2, 0, 1)[None]"
    if len(shape) == 3:
        return f"; one picture alone is {name}[None]"
    return f"; one grey picture alone is {name}[None, None]" if len(shape) == 2 and 1 in channels else ""


def _level_of_caller() -> int:
    """Return the ``stacklevel`` that makes the caller's warning point to the line that called layerkit from outside."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back and frame.f_globals["__name__"].partition(".")[0] == __name__.partition(".")[0]:
        level, frame = level + 1, frame.f_back
    return level


def _wrong_kind(name: str, given: str) -> DataError:
    return DataError(
        f"{name}: expected a torch tensor or a numpy array of uint8, uint16 or floats from 0 to 255, got {given}"
    )


class ArrayPairs:
    """Pairs for training and, optionally, pictures for validation, uint8, uint16 or floats from 0 to 255.

    Args:
        inputs: the network's inputs, (N, C, H, W).
        targets: the pictures that its outputs are compared with, of the same shape.
        validation: noisy and clean pictures, (M, C, H, W) each; None for no validation.

    Raises:
        ShapeError: when the shapes do not fit together.
    """

    def __init__(self, inputs: Tensor, targets: Tensor, validation: tuple[Tensor, Tensor] | None = None) -> None:
        if not len(inputs):
            raise ShapeError("train_input: there are no pictures")
        _check_same("train_input and train_target", inputs.shape, targets.shape)
        self.shape: tuple[int, int, int] = (inputs.shape[1], inputs.shape[2], inputs.shape[3])
        self._arrays = {"noisy_1": inputs, "noisy_2": targets}
        if validation is not None:
            noisy, clean = validation
            if not len(noisy):
                raise ShapeError("validation: there are no pictures")
            _check_same("the noisy and the clean pictures of validation", noisy.shape, clean.shape)
            _check_same("each picture of validation and of train_input", noisy.shape[1:], inputs.shape[1:])
            self._arrays |= {"noisy": noisy, "clean": clean}
        self.file_name = f"pairs-{self._digest()}.npz"

    def __len__(self) -> int:
        return len(self._arrays["noisy_1"])

    def write(self, folder: Path) -> Path:
        """Write the file, unless it exists already, and return its path; its name contains a checksum of its content.

        Raises:
            RunError: when it cannot be written.
        """
        path = folder.absolute() / self.file_name
        if not path.exists():
            content = io.BytesIO()
            arrays = dict(self._numpy())
            if any(array.dtype != np.uint8 for array in arrays.values()):
                arrays[RANGE] = np.array(255)
            np.savez(content, **arrays)  # type: ignore[arg-type]  # mypy takes an array for the option allow_pickle
            write_atomically(path, content.getbuffer())
        return path

    def _digest(self) -> str:
        digest = hashlib.sha256()
        for name, array in self._numpy():
            digest.update(f"{name} {array.dtype} {array.shape} ".encode())
            digest.update(array.data)
        return digest.hexdigest()[:16]

    def _numpy(self) -> Iterator[tuple[str, np.ndarray[Any, np.dtype[Any]]]]:
        """Yield each array by its name in the file."""
        for name, tensor in self._arrays.items():
            # Training computes in float32.
            plain = tensor if tensor.dtype == torch.uint8 else Scale(0, WHITES.get(tensor.dtype, 255.0)).values(tensor)
            yield name, plain.cpu().contiguous().numpy()


def _check_same(subject: str, first: torch.Size, second: torch.Size) -> None:
    if first != second:
        raise ShapeError(f"{subject} must have the same shape, got {tuple(first)} and {tuple(second)}")
