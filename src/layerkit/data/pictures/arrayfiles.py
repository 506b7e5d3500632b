"""Pictures as numpy's arrays: ``.npy`` files with one array, ``.npz`` files with several by their names.

An array holds one picture or a stack of them; :func:`arrangement` tells which. They are read and written one after
another, so that a stack may be larger than memory. Arrays that hold no pictures are copied unchanged.
"""

from __future__ import annotations

import contextlib
import math
import zipfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import IO, Any, BinaryIO

import numpy as np
import torch

from layerkit.data.pictures.arrangement import arrangement
from layerkit.data.pictures.picture import Page, Picture
from layerkit.data.pictures.source import Source, check_size
from layerkit.errors import DataError

NUMBERS = ("u1", "u2", "u4", "i1", "i2", "i4", "i8", "f2", "f4", "f8")
"""The kinds of numbers that pictures can be of."""
_COPIED_AT_ONCE = 2**20

Array = np.ndarray[Any, np.dtype[Any]]


class _Member:
    """An array in a file, of which the header has been read."""

    def __init__(self, name: str, opened: Callable[[], AbstractContextManager[IO[bytes]]]) -> None:
        self.name, self.open = name, opened
        with opened() as file:
            self.shape, self.fortran, self.dtype = _header(file)
        if self.dtype.hasobject:
            raise DataError(f"{_named(name)}holds Python objects, which are not read; write an array of numbers")
        numbers = self.dtype.newbyteorder("=") in NUMBERS
        self.arrangement = arrangement(self.shape) if numbers else None

    def arrays(self) -> Iterator[Array]:
        """Yield the pictures as they stand in the array."""
        arranged = self.arrangement
        if arranged is None:
            return
        with self.open() as file:
            if self.fortran:  # the pictures do not lie one after another
                whole = np.lib.format.read_array(file, allow_pickle=False)
                yield from whole.reshape(arranged.count, *arranged.shape)
                return
            _header(file)
            size = math.prod(arranged.shape) * self.dtype.itemsize
            for _ in range(arranged.count):
                data = file.read(size)
                if len(data) < size:
                    raise DataError(f"{_named(self.name)}ends too early; restore the file")
                yield np.frombuffer(data, self.dtype).reshape(arranged.shape)


class ArraySource(Source):
    """An open ``.npy`` or ``.npz`` file.

    Args:
        file: the open file.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        magic = file.read(len(np.lib.format.MAGIC_PREFIX))
        if magic == np.lib.format.MAGIC_PREFIX:
            self.suffix = ".npy"
            self.members = [_Member("", self._whole)]
        elif zipfile.is_zipfile(file):
            self.suffix = ".npz"
            archive = zipfile.ZipFile(file)
            names = [name for name in archive.namelist() if name.endswith(".npy")]
            self.members = [_Member(name, lambda name=name: archive.open(name)) for name in names]  # type: ignore[misc]
        else:
            raise DataError("not a file that numpy.save or numpy.savez wrote; restore it")
        with_pictures = [member.arrangement for member in self.members if member.arrangement is not None]
        if not with_pictures:
            shapes = ", ".join(f"{member.dtype} {member.shape}" for member in self.members[:5]) or "none"
            raise DataError(
                "no array of pictures: expected numbers of the shape (H, W), (H, W, C), (C, H, W), (N, H, W), "
                f"(N, H, W, C) or (N, C, H, W), C being 1 or 3; found {shapes}"
            )
        for arranged in with_pictures:
            check_size(*arranged.size)
        self.count = sum(arranged.count for arranged in with_pictures)

    def _whole(self) -> AbstractContextManager[IO[bytes]]:
        self._file.seek(0)
        return contextlib.nullcontext(self._file)

    def read(self) -> Iterator[Page]:
        """Yield the pictures of all arrays."""
        for member in self.members:
            for array in member.arrays():
                yield Page(_picture(member, array))


def write_arrays(file: BinaryIO, pages: Iterator[Page], source: ArraySource) -> None:
    """Write pictures in arrays of the shapes and kinds that they were read from.

    Args:
        file: open for writing.
        pages: the pictures of all arrays.
        source: the file that they are from.
    """
    if source.suffix == ".npy":
        _write_array(file, source.members[0], pages)
        return
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for member in source.members:
            with archive.open(member.name, "w", force_zip64=True) as opened:
                _write_array(opened, member, pages)


def _write_array(file: IO[bytes], member: _Member, pages: Iterator[Page]) -> None:
    if member.arrangement is None:
        with member.open() as given:
            while data := given.read(_COPIED_AT_ONCE):
                file.write(data)
        return
    header = {"descr": np.lib.format.dtype_to_descr(member.dtype), "fortran_order": False, "shape": member.shape}
    np.lib.format.write_array_header_1_0(file, header)
    for _ in range(member.arrangement.count):
        picture = next(pages).picture
        pixels = picture.pixels if picture.alpha is None else torch.cat([picture.pixels, picture.alpha[None]])
        page = np.ascontiguousarray(member.arrangement.page(pixels).cpu().numpy(), member.dtype)
        file.write(page.tobytes())


def _picture(member: _Member, array: Array) -> Picture:
    native = np.require(array, array.dtype.newbyteorder("="), ["C_CONTIGUOUS", "WRITEABLE"])
    assert member.arrangement is not None  # only such members yield pictures
    pixels = member.arrangement.picture(torch.from_numpy(native)).contiguous()
    return Picture(pixels[:3], pixels[3]) if len(pixels) == 4 else Picture(pixels)


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Return the shape of an array, whether it is in Fortran's order, and its kind."""
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    return read(file)


def _named(name: str) -> str:
    return f'array "{name.removesuffix(".npy")}": ' if name else ""
