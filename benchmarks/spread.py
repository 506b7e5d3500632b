"""How long steps take that several processes take together.

    torchrun --nproc-per-node 2 -m benchmarks.spread steps >steps.json   # beside DistributedDataParallel of torch.nn
    python -m benchmarks.spread predict <steps.json                    # tables, and a model of more processes

``OMP_NUM_THREADS=1`` gives each process one thread. ``docs/scaling.md`` has what came out, and what follows from it.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.networks import LR, ROOT, twin_of
from layerkit import MSE, SGD, Architecture, build, load_architecture
from layerkit.distributed.group import Alone, Processes, part_of
from layerkit.distributed.launch import processes_of_torchrun
from layerkit.training.reproducible_trainer import ReproducibleTrainer
from layerkit.training.shared_trainer import SharedTrainer
from layerkit.training.trainer import Trainer

NETWORKS = ("table1", "strong", "unet")
SIZES = [2**power for power in range(8, 23, 2)]
"""Numbers in the tensors whose sums are timed."""


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


if __name__ == "__main__":
    what, *numbers = sys.argv[1:]
    {"steps": time_steps, "predict": predict}[what](*map(int, numbers))
