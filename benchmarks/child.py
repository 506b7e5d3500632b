"""Measurements that need a process of their own: its peak memory counts. Prints one line of JSON."""

from __future__ import annotations

import contextlib
import copy
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

import torch

from benchmarks.networks import ROOT, architectures, own_step, rival_step, twin_of
from benchmarks.pictures import bytes_through, in_tiles
from layerkit import Denoiser, build


def peak_mebibytes() -> float:
    # Not getrusage: that counts what the process that started this one had.
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) / 1024 for line in file if line.startswith("VmHWM"))


def resident_mebibytes() -> float:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def training(network: str, who: str, batch: int) -> dict[str, Any]:
    """Return the memory that training takes beyond that of the imports and one small step, and how it grows."""
    architecture = architectures()[network]
    if who == "layerkit":
        step = own_step(architecture)
    else:
        step = rival_step(twin_of(architecture), who == "channels-last", compiled=False, sgd={})
    shape = architecture.input.shape
    step(*torch.rand(2, 1, *shape))
    before = resident_mebibytes()
    noisy, target = torch.rand(2, batch, *shape)
    for _ in range(5):
        step(noisy, target)
    early = resident_mebibytes()
    for _ in range(max(20, 2000 // batch)):
        step(noisy, target)
    return {"peak_mebibytes": peak_mebibytes() - before, "growth_mebibytes": resident_mebibytes() - early}


def inference(network: str, who: str, height: int, width: int, tile: int) -> dict[str, Any]:
    """Return seconds and memory for one large picture of bytes."""
    architecture = architectures()[network]
    shape = architecture.input.shape
    picture = torch.randint(0, 256, (1, shape[0], height, width), dtype=torch.uint8)
    if who == "layerkit":
        denoiser = Denoiser(build(architecture, seed=0), shape, tile)
        run: Callable[[torch.Tensor], torch.Tensor] = denoiser.predict
    else:
        model = twin_of(architecture).to(memory_format=torch.channels_last).eval()
        run = bytes_through(model, torch.channels_last)
        if who == "channels-last, tiled":
            # As far as the network sees, or the tiles would show.
            run = in_tiles(run, tile, Denoiser(build(architecture, seed=0), shape).halo or 0)
    run(picture[..., : 2 * tile, : 2 * tile])
    if who == "layerkit":
        run = copy.deepcopy(denoiser).predict  # which knows how far the network sees, and holds no memory of that call
        del denoiser
    before = resident_mebibytes()
    start = time.perf_counter()
    run(picture)
    return {"seconds": time.perf_counter() - start, "peak_mebibytes": peak_mebibytes() - before}


def epoch(samples: int) -> dict[str, Any]:
    """Return where the time of ``layerkit train`` goes, for one epoch of the report's network at batch 4."""
    from layerkit.cli import run
    from layerkit.training.trainer import Trainer

    inside, step = 0.0, Trainer.step

    def timed(*arguments: Any) -> float:
        nonlocal inside
        start = time.perf_counter()
        try:
            return step(*arguments)
        finally:
            inside += time.perf_counter() - start

    Trainer.step = timed
    with tempfile.TemporaryDirectory() as folder:
        arguments = [str(ROOT / "architectures/table1.json"), "--samples", str(samples), "--epochs", "1"]
        start = time.perf_counter()
        with contextlib.redirect_stdout(sys.stderr):
            code = run(["train", *arguments, "--output", f"{folder}/run"])
        total = time.perf_counter() - start
        with open(f"{folder}/run/metrics.jsonl") as file:
            lines = [json.loads(line) for line in file]
    if code:
        raise RuntimeError(f"layerkit train failed with code {code}")
    (seconds,) = (line["seconds"] for line in lines if "seconds" in line)
    return {
        "samples": samples,
        "command_seconds": total,
        "epoch_seconds": seconds,
        "step_seconds": inside,
        "around_the_step": 1 - inside / seconds,
    }


if __name__ == "__main__":
    name, threads, *rest = sys.argv[1:]
    torch.set_num_threads(int(threads))
    values = [int(value) if value.isdigit() else value for value in rest]
    print(json.dumps({"training": training, "inference": inference, "epoch": epoch}[name](*values)))
