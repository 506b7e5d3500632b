"""Data sets in files: the course's ``train_data.pkl`` and ``val_data.pkl``, and ``.npz`` files of one's own.

Both hold uint8 arrays (N, C, H, W). A ``.pkl`` file is a ``torch.save``d tuple of two: noisy and noisy anew for
training, noisy and clean for validation. An ``.npz`` file names them: ``noisy_1`` and ``noisy_2``, ``noisy`` and
``clean``, or all four. Its arrays may also hold floats, if a number ``range`` beside them, 1 or 255, says where
the values end; noise may reach beyond. Neither is ever opened in a way that would run code from the file.
"""

from __future__ import annotations

import math
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from layerkit.data.dataset import Dataset, Request, Validation
from layerkit.data.pairs import chunk_size, seeded_generator
from layerkit.data.pictures import unit
from layerkit.errors import DataError

TRAIN_NAME = "train_data.pkl"
VALIDATION_NAME = "val_data.pkl"
RANGE = "range"
"""The number in an ``.npz`` file that says where its floats end."""
RANGES = (1, 255)
FLOATS = ("float16", "float32", "float64")
MAX_VALUES = 2**32
"""Values of one array; the course's largest has 154 million."""


class FilePairs:
    """Training pairs from two tensors (N, C, H, W), values 0..255; each epoch has its own random order.

    Args:
        inputs: the network's inputs.
        targets: what the outputs are compared with.
        seed: decides the order, with the epoch.
        samples: pairs in an epoch, at most N; with fewer, each epoch has others.
    """

    def __init__(self, inputs: Tensor, targets: Tensor, seed: int, samples: int) -> None:
        self.inputs = inputs
        self.targets = targets
        self.seed = seed
        self.samples = min(samples, len(inputs))
        self.chunk_size = chunk_size(inputs.shape[1:])
        self._order = (-1, torch.empty(0))

    def __len__(self) -> int:
        return self.samples

    def chunk(self, epoch: int, number: int) -> tuple[Tensor, Tensor]:
        """Return inputs and targets of a chunk; see :class:`layerkit.data.dataset.TrainingPairs`."""
        known, order = self._order  # kept only to be quick: it is a function of seed and epoch
        if known != epoch:
            order = torch.randperm(len(self.inputs), generator=seeded_generator(self.seed, epoch))
            self._order = epoch, order
        first = number * self.chunk_size
        chosen = order[first : min(first + self.chunk_size, self.samples)]
        return unit(self.inputs[chosen]), unit(self.targets[chosen])


def pickle_files(path: Path) -> list[Path]:
    """Return the data files that a path stands for: a ``.pkl`` file, or those with the known names in a folder."""
    if path.is_file():
        return [path] if path.suffix == ".pkl" else []
    return [path / name for name in (TRAIN_NAME, VALIDATION_NAME) if (path / name).is_file()]


def read_pickles(path: Path, request: Request) -> Dataset:
    """Return the data set in a ``.pkl`` file or a folder of them; how a name begins says what a file is for.

    Raises:
        DataError: when a name begins otherwise, a file is not what it should be, or clean targets are asked of it.
    """
    train: FilePairs | None = None
    validation: Validation | None = None
    texts = []
    for file in pickle_files(path):
        if file.name.startswith("train"):
            if request.clean_targets:
                raise DataError(
                    f"{file}: clean targets were asked for and this file holds pairs of noisy pictures; "
                    'train without clean targets, or on an .npz file with "noisy" and "clean"'
                )
            train = FilePairs(*_read_pickle(file, request), request.seed, request.samples)
            texts.append(f"{_share(len(train), len(train.inputs))} noisy pairs an epoch for training from {file}")
        elif file.name.startswith("val"):
            validation = Validation(*map(unit, _read_pickle(file, request)))
            texts.append(f"{len(validation.noisy):,} noisy and clean pictures for validation from {file}")
        else:
            raise DataError(
                f"{file}: cannot tell training from validation data; name the file {TRAIN_NAME} (noisy, noisy) or "
                f"{VALIDATION_NAME} (noisy, clean)"
            )
    return Dataset(train, validation, " and ".join(texts))


def read_npz(path: Path, request: Request) -> Dataset:
    """Return the data set in an ``.npz`` file.

    ``noisy_1`` and ``noisy_2`` are for training, ``noisy`` and ``clean`` for validation. With clean targets the last
    tenth of ``noisy`` and ``clean`` is for validation and the rest for training.

    Raises:
        DataError: when the file is not what it should be, or does not hold what is asked of it.
    """
    arrays = _read_npz(path, request)
    train: FilePairs | None = None
    validation: Validation | None = None
    texts = []
    if request.clean_targets:
        if "clean" not in arrays:
            raise DataError(f'{path}: clean targets were asked for; expected arrays "noisy" and "clean", found none')
        total = len(arrays["clean"])
        kept = total - max(1, total // 10)
        if kept == 0:
            raise DataError(f"{path}: one picture cannot be for training and for validation; add pictures")
        train = FilePairs(arrays["noisy"][:kept], arrays["clean"][:kept], request.seed, request.samples)
        texts.append(f"{_share(len(train), kept)} noisy and clean pictures an epoch for training")
        validation = Validation(unit(arrays["noisy"][kept:]), unit(arrays["clean"][kept:]))
    else:
        if "noisy_1" in arrays:
            train = FilePairs(arrays["noisy_1"], arrays["noisy_2"], request.seed, request.samples)
            texts.append(f"{_share(len(train), len(train.inputs))} noisy pairs an epoch for training")
        if "clean" in arrays:
            validation = Validation(unit(arrays["noisy"]), unit(arrays["clean"]))
    if validation is not None:
        texts.append(f"{len(validation.noisy):,} noisy and clean pictures for validation")
    return Dataset(train, validation, f"{' and '.join(texts)} from {path}")


def _read_pickle(path: Path, request: Request) -> tuple[Tensor, Tensor]:
    """Return the two tensors of a ``.pkl`` file, checked."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pair = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except Exception as error:
        # Anything that is no such file raises whatever the unpickler stumbles over.
        raise DataError(
            f"{path}: not a file that torch.save wrote of a tuple of two tensors, or damaged ({_first_line(error)})"
        ) from error
    if not isinstance(pair, tuple | list) or len(pair) != 2 or not all(isinstance(part, Tensor) for part in pair):
        raise DataError(f"{path}: expected a tuple of two tensors, found {_kind(pair)}")
    for position, part in zip(("first", "second"), pair, strict=True):
        if part.layout != torch.strided:
            raise DataError(f"{path}: {position} tensor: expected a dense tensor, found {part.layout}")
        _check(f"{path}: {position} tensor", str(part.dtype).removeprefix("torch."), tuple(part.shape), request)
    _check_equal(path, "the two tensors", *pair)
    return pair[0].contiguous(), pair[1].contiguous()


def _read_npz(path: Path, request: Request) -> dict[str, Tensor]:
    """Return the known arrays of an ``.npz`` file, which is a zip file of ``.npy`` files, checked before reading."""
    arrays: dict[str, Tensor] = {}
    try:
        with open(path, "rb") as file:
            if file.read(6) == np.lib.format.MAGIC_PREFIX:
                raise DataError(f"{path}: expected several named arrays (numpy.savez), found a single one")
            with zipfile.ZipFile(file) as archive:
                names = {name.removesuffix(".npy") for name in archive.namelist()}
                found = ", ".join(sorted(names)[:10]) or "none"
                pairs = [pair for pair in (("noisy_1", "noisy_2"), ("noisy", "clean")) if names.intersection(pair)]
                limit = _read_range(path, archive) if RANGE in names else None
                for name in (name for pair in pairs for name in pair):
                    if name not in names:
                        raise DataError(f'{path}: the array "{name}" is missing beside its other half; found {found}')
                    arrays[name] = _read_array(path, archive, name, request, limit)
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except DataError:
        raise
    except Exception as error:
        # As with pictures: zip files and headers break in many ways.
        raise DataError(
            f"{path}: not an .npz file that numpy.savez wrote, or damaged ({_first_line(error)})"
        ) from error
    if not arrays:
        raise DataError(
            f'{path}: expected arrays "noisy_1" and "noisy_2" for training or "noisy" and "clean" for validation, '
            f"found {found}"
        )
    for first, second in pairs:
        _check_equal(path, f'"{first}" and "{second}"', arrays[first], arrays[second])
    return arrays


def _read_range(path: Path, archive: zipfile.ZipFile) -> float:
    """Return where the floats of a file end, 1 or 255."""
    shape, dtype = _header(archive, RANGE)
    limit = _content(archive, RANGE).item() if math.prod(shape) == 1 and dtype.kind in "iuf" else None
    if limit not in RANGES:
        raise DataError(f'{path}: "{RANGE}": expected the number 1 or 255, where the floats end')
    return float(limit)


def _read_array(path: Path, archive: zipfile.ZipFile, name: str, request: Request, limit: float | None) -> Tensor:
    """Return an array, uint8 or float32, values from 0 to 255; ``limit`` is where the file's floats end."""
    subject = f'{path}: array "{name}"'
    # By its header, so that nothing is allocated for an array that claims to be enormous.
    shape, dtype = _header(archive, name)
    if str(dtype) in FLOATS and limit is None:
        raise DataError(
            f"{subject}: floats, and nothing says whether they go from 0 to 1 or from 0 to 255; "
            f'add "{RANGE}" to the file, as in numpy.savez(..., {RANGE}=255)'
        )
    _check(subject, str(dtype), shape, request, floats=True)
    array = _content(archive, name)
    if dtype == np.uint8:
        return torch.from_numpy(array)
    values = torch.from_numpy(array.astype(np.float32, copy=False))
    if not all(end.isfinite() for end in values.aminmax()):  # NaN is least and greatest of any numbers it is among
        raise DataError(f"{subject}: some values are not finite")
    return values if limit == 255 else values.mul_(255)


def _header(archive: zipfile.ZipFile, name: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
    with archive.open(f"{name}.npy") as file:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(file)
    return shape, dtype


def _content(archive: zipfile.ZipFile, name: str) -> np.ndarray[Any, np.dtype[Any]]:
    with archive.open(f"{name}.npy") as file:
        return np.ascontiguousarray(np.lib.format.read_array(file, allow_pickle=False))


def _check(subject: str, dtype: str, shape: tuple[int, ...], request: Request, *, floats: bool = False) -> None:
    """Check the kind and size of one array."""
    if (dtype != "uint8" and not (floats and dtype in FLOATS)) or len(shape) != 4:
        expected = "uint8 or float values" if floats else "uint8 values"
        raise DataError(f"{subject}: expected {expected} (N, C, H, W), found {dtype} {shape}")
    if shape[0] == 0:
        raise DataError(f"{subject}: holds no pictures")
    if math.prod(shape) > MAX_VALUES:
        raise DataError(f"{subject}: {shape} is more than {MAX_VALUES:,} values; split the file")
    if tuple(shape[1:]) != tuple(request.shape):
        found, expected = ("x".join(map(str, sizes)) for sizes in (shape[1:], request.shape))
        raise DataError(
            f"{subject}: pictures are {found} (C x H x W) and the network's input is {expected}; "
            'change "input", or use pictures of its size'
        )


def _check_equal(path: Path, subject: str, first: Tensor, second: Tensor) -> None:
    if first.shape != second.shape:
        raise DataError(
            f"{path}: {subject} must have the same shape, found {tuple(first.shape)}, {tuple(second.shape)}"
        )


def _share(used: int, total: int) -> str:
    return f"{used:,}" if used == total else f"{used:,} of {total:,}"


def _kind(value: object) -> str:
    name = type(value).__name__
    return f"a {name} of {len(value)}" if isinstance(value, tuple | list | dict) else f"a {name}"


def _first_line(error: Exception) -> str:
    text = str(error).strip().splitlines()
    return text[0][:120] if text else type(error).__name__
