"""A folder of pictures that one process denoises, and that several share: the same bytes, and the ratio of times.

python -m benchmarks.folder 500 2     # so many pictures, and processes; one thread each
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from benchmarks.networks import ROOT
from benchmarks.survival import command
from layerkit import build, load_architecture, save

SIDE = 128
ROUNDS = 2
"""How often each is timed; the least counts."""


def make(folder: Path, count: int) -> None:
    """Write a network, a folder with so many pictures, and one with a single one."""
    architecture = load_architecture(ROOT / "architectures/table1.json")
    save(folder / "net.safetensors", build(architecture, seed=0), architecture)
    generator = np.random.default_rng(0)
    for name, number in (("many", count), ("one", 1)):
        (folder / name).mkdir()
        for each in range(number):
            pixels = generator.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{each:04}.png")


class Time(NamedTuple):
    """Seconds by the clock, and those of processors, which other programs hardly change."""

    clock: float
    processors: float


def time_of(folder: Path, pictures: str, processes: int) -> Time:
    """Denoise a folder, and return how long it took, starting included."""
    words = ["denoise", folder / "net.safetensors", folder / pictures, "--overwrite"]
    output = folder / f"{pictures} by {processes}"
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    start, before = time.perf_counter(), _used()
    subprocess.run(command(processes, *words, "--output", output), check=True, capture_output=True, env=environment)
    return Time(time.perf_counter() - start, _used() - before)


def _used() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main(count: int, processes: int) -> None:
    """Print what comes out."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make(folder, count)
        rounds: dict[tuple[str, int], list[Time]] = {}
        for _ in range(ROUNDS):
            for pictures in ("one", "many"):
                for size in (1, processes):
                    rounds.setdefault((pictures, size), []).append(time_of(folder, pictures, size))
        times = {key: Time(*map(min, zip(*each, strict=True))) for key, each in rounds.items()}
        alone, shared = (
            {path.name: path.read_bytes() for path in (folder / f"many by {size}").iterdir()} for size in (1, processes)
        )
        print(f"{len(alone)} pictures, the same bytes: {alone == shared}")
        for (pictures, size), each in times.items():
            print(f"{pictures} by {size}: {each.clock:.1f} s, {each.processors:.1f} s of processors")
        print(f"{times['many', 1].clock / times['many', processes].clock:.2f} times as fast, starting included")
        one, several = (times["many", size].processors - times["one", size].processors for size in (1, processes))
        print(f"{several / one:.2f} times the work of processors, without the start")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
