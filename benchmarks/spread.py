"""Several processes beside one: how long steps take, and what is left of a training after cuts and kills.

    torchrun --nproc-per-node 2 -m benchmarks.spread steps >steps.json   # beside DistributedDataParallel of torch.nn
    python -m benchmarks.spread predict <steps.json                    # tables, and a model of more processes
    python -m benchmarks.spread cuts 50                                # stopped and resumed with other numbers
    python -m benchmarks.spread kills 50                               # kill -9 of any rank at any time

``OMP_NUM_THREADS=1`` gives each process one thread. ``docs/scaling.md`` has what came out, and what follows from it.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.networks import LR, ROOT, twin_of
from layerkit import MSE, SGD, Architecture, build, load_architecture
from layerkit.checkpoints.checkpoint import load
from layerkit.distributed.group import Alone, Processes, part_of
from layerkit.distributed.launch import processes_of_torchrun
from layerkit.training.reproducible_trainer import ReproducibleTrainer
from layerkit.training.shared_trainer import SharedTrainer
from layerkit.training.trainer import Trainer

NETWORKS = ("table1", "strong", "unet")
SIZES = [2**power for power in range(8, 23, 2)]
"""Numbers in the tensors whose sums are timed."""


# How long steps take


def trainer_of(architecture: Architecture, kind: type[Trainer], *group: Any) -> Trainer:
    network = build(architecture, seed=0)
    parts = network, MSE(), SGD(network.param(), lr=LR)
    return kind(*parts, None, *group)


def rival(architecture: Architecture, group: Processes) -> Callable[[Tensor, Tensor], float]:
    """Return one step of DistributedDataParallel with the network's twin, each process its part of the batch."""
    twin = twin_of(architecture).to(memory_format=torch.channels_last)
    network = nn.parallel.DistributedDataParallel(twin)
    optimizer = torch.optim.SGD(network.parameters(), lr=LR)

    def step(noisy: Tensor, target: Tensor) -> float:
        part = part_of(len(noisy), group.rank, group.size)
        noisy = noisy[part].contiguous(memory_format=torch.channels_last)
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(network(noisy), target[part])
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


class Clocked:
    """A group that writes down how long a step waits for its sums when its backward is done."""

    def __init__(self, group: Processes) -> None:
        self._group, self.waits = group, []
        self._waited, self._open = 0.0, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._group, name)

    def begin_sum(self, tensor: Tensor) -> Callable[[], None]:
        wait = self._group.begin_sum(tensor)
        self._open += 1

        def clocked() -> None:
            start = time.perf_counter()
            wait()
            self._waited += time.perf_counter() - start
            self._open -= 1
            if not self._open:
                self.waits.append(self._waited)
                self._waited = 0.0

        return clocked


def rounds(group: Processes, candidates: dict[str, Callable[[], object]], count: int) -> dict[str, float]:
    """Return the least seconds of each candidate; every process calls each of them in turn, and begins together.

    The least, and not the median: beside other programs processes wait for the one that has no core.
    """
    times: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(count):
        for name, call in candidates.items():
            group.gather(torch.zeros(1))
            start = time.perf_counter()
            call()
            times[name].append(time.perf_counter() - start)
    return {name: min(taken) for name, taken in times.items()}


def time_steps(count: int = 60) -> None:
    """Print the seconds of all steps as JSON."""
    group = processes_of_torchrun()
    if group is None:
        raise SystemExit("start it by torchrun")
    torch.set_num_threads(1)
    results: dict[str, Any] = {"processes": group.size}
    with group.ending_together():
        sums = {str(size): (lambda tensor: lambda: group.begin_sum(tensor)())(torch.zeros(size)) for size in SIZES}
        results["sums"] = rounds(group, sums, count)
        for name in NETWORKS:
            architecture = load_architecture(ROOT / f"architectures/{name}.json")
            for batch in (architecture.trained.batch_size, 32):
                results[f"{name} {batch}"] = _time_network(group, architecture, batch, count)
    if group.rank == 0:
        print(json.dumps(results))


def _time_network(group: Processes, architecture: Architecture, batch: int, count: int) -> dict[str, Any]:
    pictures = torch.rand(2, batch, *architecture.input.shape)
    part = part_of(batch, group.rank, group.size)
    clocked = Clocked(group)
    shared = trainer_of(architecture, SharedTrainer, clocked)
    steps = {
        "one process": trainer_of(architecture, Trainer).step,
        "this process's part": trainer_of(architecture, Trainer).step,
        "shared": shared.step,
        "reproducible": trainer_of(architecture, ReproducibleTrainer, group).step,
        "reproducible, one process": trainer_of(architecture, ReproducibleTrainer, Alone()).step,
        "DistributedDataParallel": rival(architecture, group),
    }

    def call(name: str) -> Callable[[], object]:
        given = [each[part] for each in pictures] if name == "this process's part" else list(pictures)
        return lambda: steps[name](*given)

    def reductions() -> None:
        for flat in shared.buckets.flats:
            group.begin_sum(flat)()

    times = rounds(group, {**{name: call(name) for name in steps}, "reductions alone": reductions}, count)
    numbers = [len(flat) for flat in shared.buckets.flats]
    return times | {"waiting": min(clocked.waits), "buckets": numbers}


def predict() -> None:
    """Read what ``steps`` has printed, and print it as tables, with what a model of two parameters makes of it.

    In a ring of N processes a sum of n bytes takes 2 (N - 1) latencies and 2 (N - 1) / N times n / bandwidth.
    """
    measured = json.load(sys.stdin)
    sizes, seconds = (np.array(each, float) for each in zip(*measured.pop("sums").items(), strict=True))
    design = np.stack([np.ones_like(sizes), 4 * sizes], 1) / seconds[:, None]  # relative errors count
    first, slope = np.linalg.lstsq(design, np.ones_like(seconds), rcond=None)[0]
    latency, bandwidth = first / 2, 1 / slope
    print(f"latency {latency * 1e6:.0f} us, bandwidth {bandwidth / 1e9:.2f} GB/s\n")
    measured.pop("processes")
    columns = ["one process", "shared", "DistributedDataParallel", "reproducible", "reproducible, one process"]
    print("| network, batch |", " | ".join([*columns, "reductions alone", "waiting for them"]), "|")
    for name, times in measured.items():
        shown = [*columns, "reductions alone", "waiting"]
        print(f"| {name} |", " | ".join(f"{1e3 * times[column]:.2f}" for column in shown), "|")

    def reduction(numbers: int, processes: int) -> float:
        return 2 * (processes - 1) * (latency + 4 * numbers / processes / bandwidth)

    def step(sample: float, samples: float, buckets: list[int], processes: int) -> float:
        work, sums = sample * samples, [reduction(numbers, processes) for numbers in buckets]
        # Backward takes two thirds of the work, and all buckets but the last can hide behind it.
        return work + max(sums[-1], sum(sums) - 2 / 3 * work)

    print("\n| network | scaling | 8 | 64 | 1,024 |")
    for network in NETWORKS:
        name = max((name for name in measured if name.startswith(network)), key=lambda name: int(name.split()[1]))
        sample = measured[name]["one process"] / int(name.split()[1])
        for scaling, parts in (("weak", lambda _: 16), ("strong", lambda processes: 1024 / processes)):
            shares = [
                sample * parts(count) / step(sample, parts(count), measured[name]["buckets"], count)
                for count in (8, 64, 1024)
            ]
            print(f"| {network} | {scaling} |", " | ".join(f"{share:.0%}" for share in shares), "|")


# What is left of a training


def command(processes: int, *arguments: object, restarts: int = 0) -> list[str]:
    """Return a command line of layerkit for so many processes."""
    words = ["-m", "layerkit", *map(str, arguments)]
    if processes == 1 and not restarts:
        return [sys.executable, *words]
    many = ["--nproc-per-node", str(processes), "--max-restarts", str(restarts), "--standalone"]
    return [sys.executable, "-m", "torch.distributed.run", *many, *words]


def weights(folder: Path) -> list[Tensor]:
    return list(load(folder / "checkpoint.safetensors").network.state_dict().values())


def _training(folder: Path) -> list[object]:
    """Return the arguments of a training that takes some seconds, with the same bits on any number of processes."""
    spec = json.loads((ROOT / "architectures/table1.json").read_text())
    spec["training"] |= {"epochs": 4}
    (folder / "spec.json").write_text(json.dumps(spec))
    # Few pictures for validation, whose classical methods would take longer than the training.
    noisy, again, clean = np.random.default_rng(0).integers(0, 256, (3, 1_000, 3, 32, 32), dtype=np.uint8)
    np.savez(folder / "data.npz", noisy_1=noisy, noisy_2=again, noisy=noisy[:2], clean=clean[:2])
    data = ["--data", folder / "data.npz"]
    return ["train", folder / "spec.json", *data, "--reproducible", "--checkpoint-steps", 50, "--quiet"]


def _whole(folder: Path, training: list[object]) -> tuple[list[Tensor], float]:
    start = time.perf_counter()
    subprocess.run(command(1, *training, "--output", folder / "whole"), check=True, capture_output=True)
    return weights(folder / "whole"), time.perf_counter() - start


def cuts(count: int) -> None:
    """Stop a training so many times at any moment, and go on each time with another number of processes."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        training = _training(folder)
        whole, seconds = _whole(folder, training)
        done, run = 0, folder / "parts"
        while done < count:
            shutil.rmtree(run, ignore_errors=True)
            finished = False
            while not finished:
                process = subprocess.Popen(
                    command(random.choice((1, 2, 3, 4)), *training, "--output", run),
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                )
                try:
                    process.wait(random.uniform(0, 2 * seconds) if done < count else None)
                    finished = process.returncode == 0
                except subprocess.TimeoutExpired:
                    process.send_signal(signal.SIGTERM)
                    process.wait()
                    done += 1
            same = all(map(torch.equal, weights(run), whole))
            print(f"{done} cuts so far; the same bits: {same}", flush=True)


def kills(count: int, processes: int = 2) -> None:
    """Kill -9 any rank at any moment of trainings that torchrun restarts, and look at what is left."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        training = _training(folder)
        whole, seconds = _whole(folder, training)
        done = 0
        while done < count:
            run = folder / f"run{done}"
            words = command(processes, *training, "--output", run, restarts=100)
            process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            ended: list[float] = []
            while process.poll() is None:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(random.uniform(0, 2 * seconds) if done < count else None)
                victims = _children(process.pid)
                if process.poll() is None and victims and done < count:
                    ended.append(_kill_one(victims))
                    done += 1
            same = process.returncode == 0 and all(map(torch.equal, weights(run), whole))
            left = [pid for pid in _children(process.pid) if pid]
            print(
                f"{done} kills so far; code {process.returncode}, the same bits: {same}, left behind: {len(left)}, "
                f"the others ended after at most {max(ended, default=0):.1f} s",
                flush=True,
            )


def _kill_one(victims: list[int]) -> float:
    """Kill one process, and return how many seconds the others of its generation went on."""
    start = time.perf_counter()
    with contextlib.suppress(ProcessLookupError):
        os.kill(random.choice(victims), signal.SIGKILL)
    while any(Path(f"/proc/{pid}/cmdline").exists() and _alive(pid) for pid in victims):
        time.sleep(0.05)
    return time.perf_counter() - start


def _alive(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    return False


def _children(pid: int) -> list[int]:
    with contextlib.suppress(OSError):
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


if __name__ == "__main__":
    what, *numbers = sys.argv[1:]
    {"steps": time_steps, "predict": predict, "cuts": cuts, "kills": kills}[what](*map(int, numbers))
