"""Data sets: from what a user names to training pairs and validation pictures."""

from __future__ import annotations

import hashlib
from pathlib import Path

from layerkit.contracts.noise import Noise
from layerkit.data.dataset import Dataset, Request, TrainingPairs, Validation
from layerkit.data.pairfiles import TRAIN_NAME, VALIDATION_NAME, read_npz, read_pickles
from layerkit.data.pairs import batches
from layerkit.data.photographs import builtin_photographs, picture_folder
from layerkit.data.pictures import find_pictures
from layerkit.data.scenes import find_scenes
from layerkit.data.shotfolder import shot_folder
from layerkit.errors import DataError

__all__ = ["PHOTOS", "Dataset", "TrainingPairs", "Validation", "batches", "load_dataset"]

PHOTOS = "photos"
"""The name of the built-in data set."""


def load_dataset(
    source: str | Path,
    shape: tuple[int, ...],
    noise: Noise,
    seed: int,
    samples: int,
    clean_targets: bool = False,
    validation_samples: int = 1000,
) -> Dataset:
    """Return the data set that ``source`` names.

    Args:
        source: "photos" (seven photographs from installed packages), a folder of pictures or one picture, a folder
            of noisy shots of scenes (a_1.png, a_2.png, ...; see :mod:`layerkit.data.scenes`), a folder with
            train_data.pkl or val_data.pkl or both, one such file, or an .npz file.
        shape: the network's input, (C, H, W).
        noise: what makes clean pictures noisy; noisy shots, .pkl and .npz files come with noise of their own.
        seed: decides places, noise and order of the training pairs; validation is the same for all seeds.
        samples: training pairs in an epoch; a file that holds fewer gives as many as it has.
        clean_targets: whether the targets in training are clean, instead of noisy a second time.
        validation_samples: crops for validation; a file's validation pictures are all used.

    Raises:
        DataError: when there is no such data or it does not fit the network; the message says what would.
    """
    if len(shape) != 3:
        raise DataError(f'data are pictures, and the network\'s input is {shape}; "input" must be [C, H, W]')
    request = Request(tuple(shape), noise, seed, samples, clean_targets, validation_samples)
    if source == PHOTOS:
        return builtin_photographs(request)
    path = Path(source)
    if not path.exists():
        raise DataError(f'{path}: no such file or folder; give one, or "{PHOTOS}" for the built-in photographs')
    pickles = [path / name for name in (TRAIN_NAME, VALIDATION_NAME) if (path / name).is_file()]
    if path.suffix == ".pkl" and path.is_file():
        pickles = [path]
    if pickles:
        return read_pickles(pickles, request)
    if path.suffix == ".npz" and path.is_file():
        return read_npz(path, request)
    if not path.is_dir():
        return picture_folder(path, request)
    found = find_scenes(find_pictures([path]))
    return shot_folder(path, found, request) if found.scenes else picture_folder(path, request, found.note)


def fingerprint(source: str) -> str:
    """Return a text that is the same for the same data, on every machine; "photos" for the built-in photographs.

    Raises:
        DataError: when there is no such data, or it cannot be read.
    """
    if source == PHOTOS:
        return PHOTOS
    path = Path(source)
    if not path.exists():
        raise DataError(f'{path}: no such file or folder; give one, or "{PHOTOS}" for the built-in photographs')
    folder = path if path.is_dir() else path.parent
    digest = hashlib.sha256()
    for file in _files(path):
        digest.update(f"{file.relative_to(folder)}\n".encode())
        try:
            with file.open("rb") as opened:
                digest.update(hashlib.file_digest(opened, "sha256").digest())
        except OSError as error:
            raise DataError(f"{file} cannot be read: {error.strerror or error}") from None
    return digest.hexdigest()


def _files(path: Path) -> list[Path]:
    """Return the files that :func:`layerkit.data.sources.load_dataset` would read."""
    if path.is_file():
        return [path]
    pairs = [path / name for name in (TRAIN_NAME, VALIDATION_NAME) if (path / name).is_file()]
    return pairs or sorted(find_pictures([path]))
