"""Which kinds of files hold pictures, by their suffix."""

from __future__ import annotations

FORMATS = {
    ".png": "PNG",
    ".apng": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".bmp": "BMP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".webp": "WEBP",
    ".gif": "GIF",
}
"""What can be read and written. Pillow knows some forty more, few of them needed, and many of them rarely tested."""

ARRAYS = {".npy", ".npz"}
"""Files of arrays."""

RAW = {
    *(".3fr", ".arw", ".cr2", ".cr3", ".dng", ".erf", ".iiq", ".kdc", ".mef", ".mos", ".mrw", ".nef", ".nrw", ".orf"),
    *(".pef", ".raf", ".rw2", ".rwl", ".sr2", ".srf", ".srw", ".x3f"),
}
"""What cameras write, without colours, for which the package rawpy is needed."""

HEIF = {".heic", ".heif", ".hif"}
"""What telephones write, for which the package pillow-heif is needed."""

SUFFIXES = {*FORMATS, *ARRAYS, *RAW, *HEIF}
"""Everything that may hold pictures."""


def names() -> str:
    """Return the names of the formats, for a sentence."""
    return ", ".join(dict.fromkeys(FORMATS.values()))
