"""Data files that users write: ``.npz`` files of named arrays (N, C, H, W).

``noisy_1`` and ``noisy_2`` are for training, ``noisy`` and ``clean`` for validation. They hold bytes (uint8) or floats.
For floats, the number ``range`` in the same file says whether they go from 0 to 1 or from 0 to 255.
"""

from __future__ import annotations

import math
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from layerkit.data.dataset import Dataset, Request, Validation
from layerkit.data.pairfiles import RANGE, FilePairs, as_unit, check, check_equal, joined, share
from layerkit.errors import DataError

RANGES = (1, 255)
"""The possible upper ends of the range of floats."""


def read_npz(path: Path, request: Request) -> Dataset:
    """Return the data set in an ``.npz`` file.

    ``noisy_1`` and ``noisy_2`` are for training, ``noisy`` and ``clean`` for validation. With clean targets the last
    tenth of ``noisy`` and ``clean`` is for validation and the rest for training.

    Raises:
        DataError: when the file has another content, or does not have the requested pairs.
    """
    arrays = _read_npz(path, request)
    train: FilePairs | None = None
    validation: Validation | None = None
    of_training = of_validation = ""
    if request.clean_targets:
        if "clean" not in arrays:
            raise DataError(f'{path}: clean targets were asked for; expected arrays "noisy" and "clean", found none')
        total = len(arrays["clean"])
        kept = total - max(1, total // 10)
        if kept == 0:
            raise DataError(f"{path}: one picture cannot be for training and for validation; add pictures")
        train = FilePairs(arrays["noisy"][:kept], arrays["clean"][:kept], request.seed, request.samples)
        of_training = f"{share(len(train), kept)} noisy and clean pictures an epoch for training"
        validation = Validation(as_unit(arrays["noisy"][kept:]), as_unit(arrays["clean"][kept:]))
    else:
        if "noisy_1" in arrays:
            train = FilePairs(arrays["noisy_1"], arrays["noisy_2"], request.seed, request.samples)
            of_training = f"{share(len(train), len(train.inputs))} noisy pairs an epoch for training"
        if "clean" in arrays:
            validation = Validation(as_unit(arrays["noisy"]), as_unit(arrays["clean"]))
    if validation is not None:
        of_validation = f"{len(validation.noisy):,} noisy and clean pictures for validation"
    texts = (f"{text} from {path}" for text in (joined(of_training, of_validation), of_validation))
    return Dataset(train, validation, *texts)


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
                limit = _read_range(path, archive) if RANGE in names else None
                pairs = [pair for pair in (("noisy_1", "noisy_2"), ("noisy", "clean")) if names.intersection(pair)]
                for name in (name for pair in pairs for name in pair):
                    if name not in names:
                        raise DataError(f'{path}: the array "{name}" is missing from its pair; found {found}')
                    arrays[name] = _read_array(path, archive, name, request, limit)
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except DataError:
        raise
    except Exception as error:
        # Damaged zip files and headers raise many kinds of exceptions.
        raise DataError(
            f"{path}: not an .npz file that numpy.savez wrote, or damaged ({_first_line(error)})"
        ) from error
    if not arrays:
        raise DataError(
            f'{path}: expected arrays "noisy_1" and "noisy_2" for training or "noisy" and "clean" for validation, '
            f"found {found}"
        )
    if limit == 1 and all(array.dtype == torch.uint8 for array in arrays.values()):
        raise DataError(f'{path}: "{RANGE}" is 1 and all arrays are uint8, which go from 0 to 255; remove "{RANGE}"')
    for first, second in pairs:
        check_equal(path, f'"{first}" and "{second}"', arrays[first], arrays[second])
    return arrays


def _read_range(path: Path, archive: zipfile.ZipFile) -> int:
    """Return the upper end of the range of the file's floats, 1 or 255."""
    shape, dtype = _header(archive, RANGE)
    if shape == () and dtype.kind in "iuf":
        with archive.open(f"{RANGE}.npy") as file:
            value = np.lib.format.read_array(file, allow_pickle=False).item()
        if value in RANGES:
            return int(value)
        found = f"{value}"
    else:
        found = f"{dtype.name} {shape}"
    raise DataError(f'{path}: "{RANGE}": expected 1 or 255, the upper end of the range of the floats, found {found}')


def _header(archive: zipfile.ZipFile, name: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Return the shape and dtype of an array."""
    with archive.open(f"{name}.npy") as file:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(file)
    return shape, dtype


def _read_array(path: Path, archive: zipfile.ZipFile, name: str, request: Request, limit: int | None) -> Tensor:
    """Return an array as uint8, or as float32 from 0 to 1 where it holds floats that go from 0 to ``limit``."""
    subject = f'{path}: array "{name}"'
    shape, dtype = _header(archive, name)
    floats = dtype.kind == "f"
    if floats and limit is None:
        raise DataError(
            f"{subject}: {dtype.name} values, but nothing says whether they go from 0 to 1 or from 0 to 255; add "
            f'"{RANGE}" to the file: numpy.savez(..., {RANGE}=1) or {RANGE}=255'
        )
    # The header is checked first, so that no memory is allocated for an array that claims to be enormous.
    check(subject, dtype.name, shape, request, floats)
    with archive.open(f"{name}.npy") as file:
        values = np.lib.format.read_array(file, allow_pickle=False)
    if not floats or limit is None:
        return torch.from_numpy(np.ascontiguousarray(values))
    return _from_floats(subject, torch.from_numpy(np.ascontiguousarray(values, np.float32)), limit)


def _from_floats(subject: str, values: Tensor, limit: int) -> Tensor:
    """Return floats from 0 to ``limit`` as floats from 0 to 1; noise may exceed the range."""
    size = values.abs().mean().item()
    if not math.isfinite(size):
        raise DataError(f"{subject}: holds values that are not finite; replace them or leave their pictures out")
    if limit == 1 and size > 2:  # far more than noise could cause
        raise DataError(f'{subject}: its values are {size:.4g} on average, but "{RANGE}" says 1; write {RANGE}=255')
    return values if limit == 1 else values.div_(limit)


def _first_line(error: Exception) -> str:
    text = str(error).strip().splitlines()
    return text[0][:120] if text else type(error).__name__
