"""How pictures are divided between training and validation, and the bounds of both."""

from __future__ import annotations

from layerkit.errors import DataError

MAX_BYTES = 2**30
"""Memory for all views of a folder's pictures."""
MAX_VALIDATION_VALUES = 2**28
VALIDATION_CROPS_PER_STRIP = 8
"""Fewer than in training: a thousand crops should come from many places."""

# The split and the validation crops are the same for every run, whatever its own seed.
SPLIT_STREAM, CROP_STREAM = (0, 1), (0, 2)


def check_channels(shape: tuple[int, int, int]) -> None:
    """Make sure that pictures have the channels that a network's input (C, H, W) has.

    Raises:
        DataError: when they do not.
    """
    if shape[0] not in (1, 3):
        raise DataError(
            f"pictures have 1 channel (gray) or 3 (RGB), and the network's input has {shape[0]}; "
            'change "input", or train on a file of pairs (.npz)'
        )
