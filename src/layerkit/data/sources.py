"""The table of all sources of data sets, from which data sets, fingerprints and help texts are made.

A new source is a file that opens it and a row in :data:`SOURCES`. Help texts need the table without torch, so each
source is imported when its data are asked for.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from layerkit.errors import DataError

if TYPE_CHECKING:
    from layerkit.contracts.noise import Noise
    from layerkit.data.dataset import Dataset, Request

PHOTOS = "photos"
"""The name of the built-in data set."""
VARIETY = "variety"
"""The name of the data set with more kinds of pictures, made from these and a few more photographs."""
NAMES = (PHOTOS, VARIETY)
"""The data sets that have a name instead of a path."""
ALONE = "alone:"
"""What stands before the path of a noisy picture that is all there is to train on."""


@dataclass(frozen=True)
class Source:
    """A kind of data.

    Attributes:
        help: what a user has to give, as a part of a sentence.
        claims: returns whether a given name or path belongs to this source.
        files: returns the files that are read, in the same order on every machine; none for a data set with a name.
        open: returns the data set.
        channels: the numbers of channels that such data can have; None where they have as many as the network.
        prefix: what stands before the path, for kinds of data that are recognized by it.
    """

    help: str
    claims: Callable[[str | Path], bool]
    files: Callable[[Path], Sequence[Path]]
    open: Callable[[Path, Request], Dataset]
    channels: tuple[int, ...] | None = None
    prefix: str = ""

    def path(self, given: str | Path) -> Path:
        """Return the path in what was given."""
        return Path(str(given).removeprefix(self.prefix))


OF_PICTURES = (1, 3)
"""The numbers of channels of pictures: gray, and red, green and blue."""


def _open_photographs(_: Path, request: Request) -> Dataset:
    from layerkit.data.photographs import builtin_photographs

    return builtin_photographs(request)


def _open_variety(_: Path, request: Request) -> Dataset:
    from layerkit.data.variety import variety

    return variety(request)


def _open_alone(path: Path, request: Request) -> Dataset:
    from layerkit.data.alone import alone

    return alone(path, request)


def _pickle_files(path: Path) -> Sequence[Path]:
    from layerkit.data.picklefiles import pickle_files

    return pickle_files(path)


def _open_pickles(path: Path, request: Request) -> Dataset:
    from layerkit.data.picklefiles import read_pickles

    return read_pickles(path, request)


def _open_npz(path: Path, request: Request) -> Dataset:
    from layerkit.data.npzfiles import read_npz

    return read_npz(path, request)


def _picture_files(path: Path) -> Sequence[Path]:
    from layerkit.data.pictures import find_pictures

    return sorted(find_pictures([path]))


def _open_pictures(path: Path, request: Request) -> Dataset:
    from layerkit.data.picturefolder import picture_folder
    from layerkit.data.scenes import find_scenes
    from layerkit.data.shotfolder import shot_folder

    if not path.is_dir():
        return picture_folder(path, request)
    found = find_scenes(_picture_files(path))
    return shot_folder(path, found, request) if found.scenes else picture_folder(path, request, found.note)


def _named(name: str, what: str, opened: Callable[[Path, Request], Dataset]) -> Source:
    """Return a source that is chosen by its name and reads no files of the user."""
    return Source(
        help=f"{name}, {what}",
        claims=lambda given: given == name,
        files=lambda path: (),
        open=opened,
        channels=OF_PICTURES,
    )


SOURCES = (
    _named(PHOTOS, "the photographs inside layerkit and scikit-image", _open_photographs),
    _named(VARIETY, "those and more, recoloured, with pictures of dead leaves", _open_variety),
    Source(
        help=f"{ALONE}PICTURE, a noisy picture without any other of its scene",
        claims=lambda given: str(given).startswith(ALONE) and Path(str(given).removeprefix(ALONE)).is_file(),
        files=lambda path: [path],
        open=_open_alone,
        channels=OF_PICTURES,
        prefix=ALONE,
    ),
    Source(
        help="a folder with train_data.pkl and val_data.pkl, or one of the two",
        claims=lambda given: bool(_pickle_files(Path(given))),
        files=_pickle_files,
        open=_open_pickles,
    ),
    Source(
        help="an .npz file of pairs",
        claims=lambda given: Path(given).suffix == ".npz" and Path(given).is_file(),
        files=lambda path: [path],
        open=_open_npz,
    ),
    Source(
        help="a folder of pictures, to which noise is added, or of noisy shots a_1.png, a_2.png, b_1.png, ... of the "
        "scenes a, b, ..., which are used as they are",
        claims=lambda given: Path(given).exists(),
        files=_picture_files,
        open=_open_pictures,
        channels=OF_PICTURES,
    ),
)
"""All sources; the first that claims a given name or path opens it."""

HELP = "; ".join(source.help for source in SOURCES)
"""Everything that can be given as data, as a part of a sentence."""


def load_dataset(
    given: str | Path,
    shape: tuple[int, ...],
    noise: Noise,
    seed: int,
    samples: int,
    clean_targets: bool = False,
    validation_samples: int = 1000,
    noise_level: bool = False,
) -> Dataset:
    """Return the data set of a name or a path.

    Args:
        given: the name or path, see :data:`HELP`.
        shape, noise, seed, samples, clean_targets, validation_samples: as in :class:`layerkit.data.dataset.Request`.
        noise_level: whether the last channel of ``shape`` is the noise level, see :mod:`layerkit.data.levels`.

    Raises:
        DataError: when there are no such data, or they do not fit the network; the message says what would fit.
    """
    from layerkit.data.dataset import Request
    from layerkit.data.levels import leveled

    if len(shape) != 3:
        raise DataError(f'data are pictures, and the network\'s input is {shape}; "input" must be [C, H, W]')
    channels, height, width = shape
    request = Request((channels - noise_level, height, width), noise, seed, samples, clean_targets, validation_samples)
    source = _source(given)
    dataset = source.open(source.path(given), request)
    return leveled(dataset, clean_targets) if noise_level else dataset


def anywhere(given: str) -> str:
    """Return a name for data that is valid in every working directory: paths are made absolute, names stay."""
    if given in NAMES:
        return given
    prefix = ALONE if given.startswith(ALONE) else ""
    return prefix + str(Path(given.removeprefix(prefix)).absolute())


def channels_of(given: str | Path) -> tuple[int, ...] | None:
    """Return the numbers of channels that data can have, or None where they have as many as the network.

    Raises:
        DataError: when there are no such data.
    """
    return _source(given).channels


def fingerprint(given: str) -> str:
    """Return a text that identifies the data on every machine: a checksum, or the name of data with a name.

    Raises:
        DataError: when there are no such data, or they cannot be read.
    """
    source = _source(given)
    path = source.path(given)
    files = source.files(path)
    if not files:
        return given
    folder = path if path.is_dir() else path.parent
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.relative_to(folder)}\n".encode())
        try:
            with file.open("rb") as opened:
                digest.update(hashlib.file_digest(opened, "sha256").digest())
        except OSError as error:
            raise DataError(f"{file} cannot be read: {error.strerror or error}") from None
    return digest.hexdigest()


def _source(given: str | Path) -> Source:
    for source in SOURCES:
        if source.claims(given):
            return source
    raise DataError(f"{given}: no such file or folder; give one of these: {HELP}")
