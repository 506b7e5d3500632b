"""The course's data files, ``train_data.pkl`` and ``val_data.pkl``.

Each is a tuple of two uint8 tensors (N, C, H, W), saved with ``torch.save``: for training, two noisy versions of the
same pictures; for validation, noisy and clean pictures.
"""

from __future__ import annotations

import pickletools
import re
import warnings
from pathlib import Path

import torch
from torch import Tensor

from layerkit.data.dataset import Dataset, Request, Validation
from layerkit.data.pairfiles import FilePairs, check, check_equal, joined, share
from layerkit.data.pictures import unit
from layerkit.errors import DataError

TRAIN_NAME = "train_data.pkl"
VALIDATION_NAME = "val_data.pkl"


def pickle_files(path: Path) -> list[Path]:
    """Return the data files of a path: the ``.pkl`` file itself, or the files with the known names in a folder."""
    if path.is_file():
        return [path] if path.suffix == ".pkl" else []
    return [path / name for name in (TRAIN_NAME, VALIDATION_NAME) if (path / name).is_file()]


def read_pickles(path: Path, request: Request) -> Dataset:
    """Return the data set in a ``.pkl`` file or a folder of them; the beginning of a name says what a file is for.

    Raises:
        DataError: when a name has another beginning, a file has another content, or clean targets are asked for.
    """
    train: FilePairs | None = None
    validation: Validation | None = None
    of_training = of_validation = ""
    for file in pickle_files(path):
        if file.name.startswith("train"):
            if request.clean_targets:
                raise DataError(
                    f"{file}: clean targets were asked for, but this file holds pairs of noisy pictures; "
                    'train without clean targets, or on an .npz file with "noisy" and "clean"'
                )
            train = FilePairs(*_read_pickle(file, request), request.seed, request.samples)
            of_training = f"{share(len(train), len(train.inputs))} noisy pairs an epoch for training from {file}"
        elif file.name.startswith("val"):
            validation = Validation(*map(unit, _read_pickle(file, request)))
            of_validation = f"{len(validation.noisy):,} noisy and clean pictures for validation from {file}"
        else:
            raise DataError(
                f"{file}: cannot tell training from validation data; name the file {TRAIN_NAME} (noisy, noisy) or "
                f"{VALIDATION_NAME} (noisy, clean)"
            )
    return Dataset(train, validation, joined(of_training, of_validation), of_validation)


def _read_pickle(path: Path, request: Request) -> tuple[Tensor, Tensor]:
    """Return the two tensors of a ``.pkl`` file, checked."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pair = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except Exception as error:
        # For other files the unpickler may raise any exception.
        asked = _asked_for(path, str(error))
        if asked:
            raise DataError(
                f"{path}: refused, because it wants to run code when it is opened ({asked}); data files hold two "
                "tensors and nothing else: torch.save((first, second), path)"
            ) from error
        raise DataError(
            f"{path}: not a tuple of two tensors written by torch.save, or damaged; write it again: "
            "torch.save((first, second), path)"
        ) from error
    if not isinstance(pair, tuple | list) or len(pair) != 2 or not all(isinstance(part, Tensor) for part in pair):
        raise DataError(f"{path}: expected a tuple of two tensors, found {_kind(pair)}")
    for position, part in zip(("first", "second"), pair, strict=True):
        if part.layout != torch.strided:
            raise DataError(f"{path}: {position} tensor: expected a dense tensor, found {part.layout}")
        check(f"{path}: {position} tensor", str(part.dtype).removeprefix("torch."), tuple(part.shape), request)
    check_equal(path, "the two tensors", *pair)
    return pair[0].contiguous(), pair[1].contiguous()


def _asked_for(path: Path, refusal: str) -> str:
    """Return the functions that a pickle, which torch refused, would call when opened; "" where they are not known."""
    found = re.search(r"GLOBAL ([\w.]+)", refusal)
    if found:
        return found[1].rstrip(".")
    texts = ["", ""]
    try:
        with path.open("rb") as file:
            for code, value, _ in pickletools.genops(file):
                texts += [value] if isinstance(value, str) else []
                if code.name in ("GLOBAL", "STACK_GLOBAL"):
                    # The name is in one string, with a space, or in the last two strings.
                    name = texts[-1].replace(" ", ".") if code.name == "GLOBAL" else ".".join(texts[-2:])
                    # Every file of torch calls the functions that make tensors; these are not worth reporting.
                    return "" if name.startswith("torch.") else "".join(filter(str.isprintable, name[:100]))
    except Exception:
        return ""  # not a pickle
    return ""


def _kind(value: object) -> str:
    name = type(value).__name__
    return f"a {name} of {len(value)}" if isinstance(value, tuple | list | dict) else f"a {name}"
