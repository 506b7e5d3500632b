"""The device that a network works on: its name, whether it is there, and what to call it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from layerkit.errors import DeviceError

AUTO = "auto"
NAMES = "auto, cpu, cuda, cuda:N or mps"
"""The names that :func:`device_named` knows, as text for messages and help."""

_KNOWN = re.compile(r"auto|cpu|cuda(:\d{1,3})?|mps")


def device_named(name: str | torch.device = AUTO) -> torch.device:
    """Return the device of a name, after making sure that it is there.

    ``auto`` is the first CUDA device where there is one, and the processor elsewhere. ``mps``, the GPU of a Mac, is
    taken only where it is asked for, since it knows no double precision.

    Args:
        name: one of ``NAMES``, or a device of torch.

    Raises:
        DeviceError: when there is no such device here.
    """
    name = str(name)
    if not _KNOWN.fullmatch(name):
        raise DeviceError(f'there is no device "{name[:40]}"; expected {NAMES}')
    kind, _, number = name.partition(":")
    if kind == AUTO:
        kind = "cuda" if torch.cuda.is_available() else "cpu"
    if kind == "cuda":
        return torch.device("cuda", _cuda_number(name, number))
    if kind == "mps" and not torch.backends.mps.is_available():
        raise DeviceError(f'the device "mps" is the GPU of a Mac, and there is none that torch can use; {_REMEDY}')
    return torch.device(kind)


_REMEDY = "take cpu or auto"


def _cuda_number(name: str, number: str) -> int:
    """Return the number of a CUDA device, the current one where none is given, after making sure that it is there."""
    if torch.version.cuda is None and torch.version.hip is None:
        raise DeviceError(
            f'there is no device "{name}": torch {torch.__version__} was built without CUDA; {_REMEDY}, or install '
            "torch for your GPU"
        )
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if not count:
        raise DeviceError(f'there is no device "{name}": torch finds no GPU, or no driver for it; {_REMEDY}')
    if number and int(number) >= count:
        last = f" to cuda:{count - 1}" if count > 1 else ""
        raise DeviceError(f'there is no device "{name}": here is cuda:0{last}; {_REMEDY}')
    return int(number) if number else torch.cuda.current_device()


def wait_for(device: torch.device) -> None:
    """Wait until a device has done all that it was given; the processor always has."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def described(device: torch.device) -> str:
    """Return what a device is called in messages, such as ``cuda:0 (NVIDIA H200)``."""
    if device.type == "cuda":
        return f"{device} ({torch.cuda.get_device_name(device)})"
    if device.type == "cpu":
        threads = torch.get_num_threads()
        return f"cpu ({threads} thread{'s' if threads > 1 else ''})"
    return str(device)


FLOAT32, TF32 = "float32", "tf32"
PRECISIONS = (FLOAT32, TF32)
"""How precisely numbers of single precision are multiplied: with all their bits, or with the 11 that TF32 keeps."""


def check_precision(precision: str, device: torch.device) -> None:
    """Refuse a precision that a device does not have.

    Raises:
        DeviceError: when it has not.
    """
    if precision != FLOAT32 and device.type != "cuda":
        raise DeviceError(f"products of the precision {precision} are made by GPUs for CUDA, and {device} is none")


@contextmanager
def computing_in(precision: str) -> Iterator[None]:
    """Let matrix products of single precision, on every GPU of this process, be of a precision inside ``with``."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high" if precision == TF32 else "highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
