"""A folder of pictures that one process denoises, and that several share: the same bytes, and the ratio of times.

python -m benchmarks.folder 500 2     # so many pictures, and processes; one thread each
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.networks import ROOT
from benchmarks.survival import command
from layerkit import build, load_architecture, save

SIDE = 128
ROUNDS = 3
"""How often each is timed; the least counts."""


def make(folder: Path, count: int) -> None:
    """Write a network, a folder with so many pictures, and one with a single one."""
    architecture = load_architecture(ROOT / "architectures/strong.json")
    save(folder / "net.safetensors", build(architecture, seed=0), architecture)
    generator = np.random.default_rng(0)
    for name, number in (("many", count), ("one", 1)):
        (folder / name).mkdir()
        for each in range(number):
            pixels = generator.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{each:04}.png")


def seconds(folder: Path, pictures: str, processes: int) -> float:
    """Denoise a folder, and return how long it took, starting included."""
    words = ["denoise", folder / "net.safetensors", folder / pictures, "--overwrite"]
    output = folder / f"{pictures} by {processes}"
    start = time.perf_counter()
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    subprocess.run(command(processes, *words, "--output", output), check=True, capture_output=True, env=environment)
    return time.perf_counter() - start


def main(count: int, processes: int) -> None:
    """Print what comes out."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make(folder, count)
        times = {(pictures, size): min(each) for (pictures, size), each in _in_turns(folder, processes).items()}
        alone, shared = (
            {path.name: path.read_bytes() for path in (folder / f"many by {size}").iterdir()} for size in (1, processes)
        )
        print(f"{len(alone)} pictures, the same bytes: {alone == shared}")
        for pictures in ("one", "many"):
            print(f"{pictures}: {times[pictures, 1]:.1f} s by 1, {times[pictures, processes]:.1f} s by {processes}")
        whole = times["many", 1] / times["many", processes]
        work = (times["many", 1] - times["one", 1]) / (times["many", processes] - times["one", processes])
        print(f"{whole:.2f} times as fast, {work:.2f} times without the start")


def _in_turns(folder: Path, processes: int) -> dict[tuple[str, int], list[float]]:
    times: dict[tuple[str, int], list[float]] = {}
    for _ in range(ROUNDS):
        for pictures in ("one", "many"):
            for size in (1, processes):
                times.setdefault((pictures, size), []).append(seconds(folder, pictures, size))
    return times


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
