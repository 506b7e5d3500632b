"""What is left of trainings by several processes after cuts and kills.

python -m benchmarks.survival cuts 50     # stopped at any time, and resumed with another number of processes
python -m benchmarks.survival kills 50    # kill -9 of any rank at any time, under torchrun --max-restarts
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks.networks import ROOT
from layerkit.checkpoints.checkpoint import load

OPTIONS = ["--checkpoint-steps", "50", "--quiet"]
"""Of a training that begins, and of one that goes on."""
PATIENCE = 150.0
"""Seconds after which a stop has failed: the time that processes wait for one another, and some more."""


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
    return ["train", folder / "spec.json", *data, "--reproducible", *OPTIONS]


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
            finished, ended = False, [0.0]
            while not finished:
                # It may be cut when all is done, and before it has said so: the same command would then be an error.
                begun = (run / "run.json").exists()
                words = ["train", "--resume", run, *OPTIONS] if begun else [*training, "--output", run]
                process = subprocess.Popen(
                    command(random.choice((1, 2, 3, 4)), *words),
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                )
                try:
                    process.wait(random.uniform(0, 2 * seconds) if done < count else None)
                    finished = process.returncode == 0
                except subprocess.TimeoutExpired:
                    process.send_signal(signal.SIGTERM)
                    start = time.perf_counter()
                    process.wait(PATIENCE)
                    ended.append(time.perf_counter() - start)
                    done += 1
            same = all(map(torch.equal, weights(run), whole))
            print(f"{done} cuts so far; the same bits: {same}, stopped after at most {max(ended):.1f} s", flush=True)


def kills(count: int, processes: int = 2) -> None:
    """Kill -9 any rank at any moment of trainings that torchrun restarts, and look at what is left."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        training = _training(folder)
        whole, seconds = _whole(folder, training)
        done = 0
        for number in itertools.count():
            if done >= count:
                return
            run = folder / f"run{number}"
            words = command(processes, *training, "--output", run, restarts=count)
            process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            ended: list[float] = []
            seen: set[int] = set()
            trained = [0]
            while process.poll() is None:
                time.sleep(0.05)
                if not _children(process.pid):  # torchrun is about to start them
                    continue
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(random.uniform(0, seconds))
                victims = _children(process.pid)
                seen.update(victims)
                if process.poll() is None and victims and done < count:
                    ended.append(_kill_one(victims))
                    done += 1
                    trained.append(_trained(run))
            same = process.returncode == 0 and all(map(torch.equal, weights(run), whole))
            left = list(filter(_alive, seen))
            print(
                f"{done} kills so far; code {process.returncode}, the same bits: {same}, left behind: {len(left)}, "
                f"checkpoints after {trained[1:]} pictures, none lost: {trained == sorted(trained)}, the others ended "
                f"after at most {max(ended, default=0):.1f} s",
                flush=True,
            )


def _trained(run: Path) -> int:
    """Return how many pictures a run's checkpoint was trained on, 0 without one; an error if it is damaged."""
    path = run / "checkpoint.safetensors"
    return load(path).position["pictures"] if path.exists() else 0


def _kill_one(victims: list[int]) -> float:
    """Kill one process, and return how many seconds the others of its generation went on."""
    start = time.perf_counter()
    with contextlib.suppress(ProcessLookupError):
        os.kill(random.choice(victims), signal.SIGKILL)
    while any(map(_alive, victims)):
        time.sleep(0.05)
        if time.perf_counter() - start > PATIENCE:
            raise SystemExit(f"of the processes {victims}, one of which was killed, some have not ended")
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
    what, count = sys.argv[1:]
    {"cuts": cuts, "kills": kills}[what](int(count))
