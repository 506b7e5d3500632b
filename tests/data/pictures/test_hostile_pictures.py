"""Picture files that somebody has damaged or forged: a picture, or a sentence that names the file, and nothing else."""

from __future__ import annotations

import io
import itertools
import math
import os
import random
import struct
import tracemalloc
import zlib
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageFile

from layerkit.data.pictures import opened, read_picture
from layerkit.errors import DataError

THOROUGH = os.environ.get("LAYERKIT_THOROUGH", "") not in ("", "0")
VARIANTS = [
    *[("PNG", mode, {}) for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")],
    *[("PNG", "RGB", {"optimize": True}), ("PNG", "P", {"transparency": 3})],
    *[("JPEG", mode, {}) for mode in ("L", "RGB", "CMYK")],
    *[("JPEG", "RGB", {"progressive": True}), ("JPEG", "RGB", {"exif": b"Exif\0\0II*\0\x08\0\0\0" + bytes(40)})],
    *[("BMP", mode, {}) for mode in ("1", "L", "P", "RGB", "RGBA")],
    *[("TIFF", mode, {}) for mode in ("1", "L", "I;16", "RGB", "RGBA", "CMYK", "P", "LAB", "YCbCr")],
    *[("TIFF", "RGB", {"compression": name}) for name in ("tiff_lzw", "tiff_deflate", "jpeg", "packbits")],
    *[("WEBP", "RGB", {}), ("WEBP", "RGBA", {"lossless": True}), ("WEBP", "RGB", {"animated": True})],
    *[("GIF", "P", {}), ("GIF", "P", {"animated": True}), ("GIF", "L", {"transparency": 0})],
    *[("deep PNG", mode, {}) for mode in ("L", "LA", "RGB", "RGBA")],
    *[("deep TIFF", "RGB", {"compression": name}) for name in (None, "lzw", "zlib")],
    *[("deep TIFF", "F", {}), ("deep TIFF", "RGB", {"tile": (16, 16)}), ("deep TIFF", "stack", {})],
    ("array", "RGB", {}),
]


def encoded(name: str, mode: str, options: dict) -> bytes:
    """Return a small picture of one kind as the bytes of its file."""
    values = np.random.default_rng(0).integers(0, 256, (13, 17, 3), dtype=np.uint8)
    file = io.BytesIO()
    if name == "array":
        np.save(file, values)
        return file.getvalue()
    if name.startswith("deep"):
        return deep(name, mode, values, options)
    if mode == "I;16":
        image = Image.fromarray(values[..., 0].astype(np.uint16) * 257)
    else:
        image = Image.fromarray(values).convert("RGB" if mode in ("LAB", "YCbCr") else mode)
    options = dict(options)
    if options.pop("animated", False):
        options |= {"save_all": True, "append_images": [image.rotate(90), image.rotate(180)]}
    image.save(file, format=name, **options)
    return file.getvalue()


def deep(name: str, mode: str, values: np.ndarray, options: dict) -> bytes:
    """Return a picture of 16 bits, or of floats, as the bytes of its file."""
    if name == "deep PNG":
        picture = np.asarray(Image.fromarray(values).convert(mode)).astype(np.uint16) * 257
        return bytes(imagecodecs.png_encode(picture))
    picture = values.astype(np.float32) if mode == "F" else values.astype(np.uint16) * 257
    if mode == "stack":
        picture = np.moveaxis(picture, 2, 0).copy()
    file = io.BytesIO()
    tifffile.imwrite(file, picture, photometric="minisblack" if mode == "stack" else "rgb", **options)
    return file.getvalue()


FILES = [encoded(*variant) for variant in VARIANTS]


def mutated(seed: int) -> bytes:
    """Return one of the files with a few bytes changed, most of them where the format says what follows."""
    drawn = random.Random(seed)
    data = bytearray(drawn.choice(FILES))
    for _ in range(drawn.choice([1, 1, 2, 4, 16])):
        place = min(len(data) - 1, int(drawn.expovariate(1 / drawn.choice([20, 60, 400]))))
        match drawn.randrange(6):
            case 0:
                data[place] ^= 1 << drawn.randrange(8)
            case 1:
                data[place] = drawn.choice([0, 1, 0x7F, 0x80, 0xFE, 0xFF])
            case 2:
                size = drawn.choice([2, 4])
                data[place : place + size] = drawn.choice([b"\xff", b"\0", b"\x7f"]) * size
            case 3:
                del data[place : place + drawn.choice([1, 4, 30])]
            case 4:
                data[place:place] = drawn.choice(FILES)[: drawn.choice([1, 8, 64])]
            case _:
                del data[drawn.randrange(len(data)) :]
        data = data or bytearray(b"\0")
    return bytes(data)


def read_or_refused(path: Path) -> bool:
    """Return whether a file is read, and fail unless it is that or refused with a sentence."""
    try:
        with opened(path) as source:
            pictures = [page.picture for page in itertools.islice(source.pages(), 5)]
    except DataError as error:
        assert str(error).startswith(f"{path}: ")
        assert len(str(error)) < 1000
        return False
    assert all(len(picture.pixels) in (1, 3) for picture in pictures)
    return True


def test_whole_files_are_read(tmp_path):
    for variant, data in zip(VARIANTS, FILES, strict=True):
        path = tmp_path / ("picture.npy" if variant[0] == "array" else "picture")
        path.write_bytes(data)
        assert read_picture(path).pixels.shape[1:] == (13, 17), variant


@pytest.fixture
def decoded(monkeypatch) -> list[int]:
    """Return the numbers of pixels that Pillow sets memory aside for, as it does so."""
    numbers: list[int] = []
    prepare = ImageFile.ImageFile.load_prepare

    def counted(image: ImageFile.ImageFile) -> None:
        numbers.append(math.prod(image.size))
        prepare(image)

    monkeypatch.setattr(ImageFile.ImageFile, "load_prepare", counted)
    return numbers


def test_mutated_files(tmp_path, at_most, decoded):
    read, count = 0, 50_000 if THOROUGH else 2_000
    for seed in range(count):
        data = mutated(seed)
        path = tmp_path / ("picture.npy" if data.startswith(b"\x93NUMPY") else "picture.png")
        path.write_bytes(data)
        decoded.clear()
        with at_most(50_000):
            read += read_or_refused(path)
        assert max(decoded, default=0) < 100_000_000, seed
    assert count / 20 < read < count * 19 / 20
    assert not ImageFile.LOAD_TRUNCATED_IMAGES


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, *more: bytes) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(more) + chunk(b"IEND", b"")


BOMBS = {
    "pixels": png(60_000, 60_000, chunk(b"IDAT", zlib.compress(bytes(1000)))),
    "a row": png(2**31 - 1, 1, chunk(b"IDAT", zlib.compress(bytes(1000)))),
    "no height": png(8, 0, chunk(b"IDAT", zlib.compress(b""))),
    "text": png(8, 8, chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(200_000_000)))),
    "profile": png(8, 8, chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(200_000_000)))),
    "tiff": b"II*\0\x08\0\0\0\x02\0" + struct.pack("<HHIIHHII", 256, 4, 1, 2**31, 257, 4, 1, 2**31) + bytes(4),
    "gif": b"GIF89a" + struct.pack("<HHBBB", 65535, 65535, 0, 0, 0) + b",\0\0\0\0\xff\xff\xff\xff\0\x02\0;",
    "bmp": b"BM" + struct.pack("<IHHIIiiHHIIiiII", 100, 0, 0, 54, 40, 2**30, 2**30, 1, 24, 0, 0, 0, 0, 0, 0),
}


@pytest.mark.parametrize("data", BOMBS.values(), ids=BOMBS)
def test_bombs_are_refused_before_they_go_off(tmp_path, data, at_most, decoded):
    (tmp_path / "bomb.png").write_bytes(data)
    tracemalloc.start()
    with at_most(1000):
        assert not read_or_refused(tmp_path / "bomb.png")
    assert tracemalloc.get_traced_memory()[1] < 10_000_000
    tracemalloc.stop()
    assert not decoded
