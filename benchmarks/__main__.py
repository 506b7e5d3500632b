"""``python -m benchmarks``: time layerkit beside torch.nn, and print tables and JSON.

Run it on a machine that does nothing else: with two threads, a third process makes every number meaningless.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from benchmarks import machine, pictures, report
from benchmarks.networks import ROOT, architectures
from benchmarks.steps import time_sizes, time_steps
from benchmarks.twin import train_both
from layerkit.denoising.denoiser import SIDE

FULL = {
    "batches": (4, 16, 64, 256),
    "seconds": 8.0,
    "picture": (4000, 6000),
    "sizes": ((512, 512), (1024, 1024), (4000, 6000)),
    "samples": 50_000,
    "epochs": 2,
}
SHORT = {
    "batches": (4, 64),
    "seconds": 1.5,
    "picture": (1000, 1500),
    "sizes": ((512, 512),),
    "samples": 4_000,
    "epochs": 1,
}
PARTS = ("steps", "sizes", "memory", "inference", "pictures", "epoch", "twin")


def main() -> None:
    arguments = _arguments()
    with busy(arguments.busy):
        measure(arguments)


def measure(arguments: argparse.Namespace) -> None:
    extent = SHORT if arguments.short else FULL
    batches = arguments.batches or extent["batches"]
    threads = [count for count in arguments.threads if count <= (os.cpu_count() or 1)]
    seconds = arguments.seconds or extent["seconds"]
    clock = time.thread_time if arguments.cpu_time else time.perf_counter
    results: dict[str, Any] = {
        "machine": machine.describe(),
        "clock": clock.__name__,
        "busy_neighbours": arguments.busy,
    }
    print("\n".join(f"{name}: {value}" for name, value in results["machine"].items()), flush=True)
    networks = {name: spec for name, spec in architectures().items() if name in (arguments.networks or architectures())}
    if "steps" in arguments.parts:
        rows = results["steps"] = []
        for count in threads:
            for name, architecture in networks.items():
                for batch in batches:
                    rows.append(time_steps(architecture, batch, count, seconds, arguments.compile, clock))
                    say(
                        f"{name}, batch {batch}, threads {count}: {rows[-1]['ratio_to_fastest']:.2f}x the fastest rival"
                    )
        show("Milliseconds of one training step, medians, interleaved", report.steps_table(rows))
    if "sizes" in arguments.parts:
        results["sizes"] = time_sizes(architectures()["table1"], 1, seconds / 4, clock)
        show("Growth with the size of the pictures, Table I, one thread", report.sizes_table(results["sizes"]))
    if "memory" in arguments.parts:
        rows = results["training_memory"] = [
            {"network": name, "batch": batch, "who": who, **child("training", 1, name, who, batch)}
            for name in (list(networks)[:1] if arguments.short else networks)
            for batch in ((64,) if arguments.short else (4, 256))
            for who in ("layerkit", "torch.nn", "channels-last")
        ]
        show("Memory of training, beyond the imports", report.training_memory_table(rows))
    if "inference" in arguments.parts:
        height, width = extent["picture"]
        rows = results["inference"] = [
            {"network": name, "picture": f"{width}x{height}", "threads": count, "who": who}
            | child("inference", count, name, who, height, width, SIDE)
            for name in (list(networks)[:1] if arguments.short else networks)
            for count in threads
            for who in ("layerkit", "channels-last", "channels-last, tiled")
        ]
        show("One large picture", report.inference_table(rows))
    if "pictures" in arguments.parts:
        why = pictures.unavailable()
        rows = results["pictures"] = [] if why else _pictures(extent["sizes"], threads, seconds)
        show("One picture beside onnxruntime, milliseconds", why or report.pictures_table(rows))
    if "epoch" in arguments.parts:
        values = results["epoch"] = child("epoch", threads[-1], extent["samples"])
        show(
            "Training the report's network",
            f"{values['samples']:,} pairs at batch 4, {threads[-1]} threads: {values['epoch_seconds']:.1f} s, "
            f"of which {values['around_the_step']:.1%} around the step",
        )
    if "twin" in arguments.parts:
        rows = results["twin"] = train_both("table1", threads[-1], extent["samples"], extent["epochs"])
        show("Table I and its twin, trained on the same batches from the same weights", report.twin_table(rows))
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(results, indent=1) + "\n")


def _pictures(sizes: tuple[tuple[int, int], ...], threads: list[int], seconds: float) -> list[dict[str, Any]]:
    rows = []
    for count in threads:
        for name in pictures.NAMES:
            for height, width in sizes:
                rows.append(pictures.time_picture(name, height, width, count, seconds))
                ratio = rows[-1]["ratio_to_onnxruntime"]
                say(f"{name}, {width}x{height}, threads {count}: {ratio:.2f}x onnxruntime")
    return rows


@contextlib.contextmanager
def busy(neighbours: int) -> Iterator[None]:
    """Let so many processes that never rest use the machine as well."""
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(neighbours)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--short", action="store_true", help="fewer sizes, in less than two minutes")
    parser.add_argument("--compile", action="store_true", help="torch.compile among the rivals; some minutes more")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--networks", nargs="+", choices=list(architectures()))
    parser.add_argument("--batches", nargs="+", type=int)
    parser.add_argument("--threads", nargs="+", type=int, default=(1, 2))
    parser.add_argument("--seconds", type=float, help="for each line of the table of steps")
    parser.add_argument(
        "--cpu-time", action="store_true", help="the thread's own time, where others use the machine; 1 thread"
    )
    parser.add_argument("--busy", type=int, default=0, metavar="N", help="beside N processes that never rest")
    parser.add_argument("--json", help="file for all numbers")
    return parser.parse_args()


def child(what: str, threads: int, *arguments: object) -> dict[str, Any]:
    """Return what a process of its own has measured."""
    command = [sys.executable, "-m", "benchmarks.child", what, str(threads), *map(str, arguments)]
    environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr}")
    say(" ".join(map(str, (what, *arguments))))
    return json.loads(done.stdout.splitlines()[-1])


def show(title: str, text: str) -> None:
    print(f"\n{title}\n\n{text}", flush=True)


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    torch.manual_seed(0)
    main()
