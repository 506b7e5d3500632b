"""``python -m benchmarks.gpu``: what a GPU computes, held against the processor, and how fast it is beside torch.nn.

It needs one GPU with CUDA, and neither the network nor a compiler. Each part is guarded: what fails is reported, and
the next part goes on. Results are printed as they come, and are in the JSON file after each of them.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from benchmarks import gpu_checks, gpu_rivals, gpu_steps
from benchmarks.networks import architectures
from benchmarks.pictures import shipped

BATCHES = (4, 64, 1024, 4096)
PRECISIONS = ("float32", "tf32")


class Bench:
    """Runs parts one after the other until the time is up, and keeps what they found.

    Args:
        path: the JSON file.
        seconds: after so many no part begins.
    """

    def __init__(self, path: Path, seconds: float) -> None:
        self.path, self.end = path, time.monotonic() + seconds
        self.results: dict[str, Any] = {}
        self.failures = 0

    def part(self, name: str, work: Callable[[], Any]) -> Any:
        """Return what ``work`` found, and write it down; None where it failed or there was no time left."""
        start = time.monotonic()
        if start > self.end:
            print(f"{name}: left out, the time is up", flush=True)
            self.results[name] = {"left_out": True}
            found = None
        else:
            try:
                found = self.results[name] = work()
                print(f"{name}: {_short(found)}  [{time.monotonic() - start:.1f} s]", flush=True)
            except Exception as error:
                self.failures += 1
                found = None
                self.results[name] = {"failed": f"{type(error).__name__}: {error}", "trace": traceback.format_exc()}
                print(f"{name}: FAILED: {type(error).__name__}: {str(error)[:600]}", flush=True)
        self.path.write_text(json.dumps(self.results, indent=1, default=str) + "\n")
        gc.collect()
        torch.cuda.empty_cache()
        return found


def _short(found: Any) -> str:
    if isinstance(found, dict):
        return ", ".join(f"{key} {_short(value)}" for key, value in found.items())
    return f"{found:.4g}" if isinstance(found, float) else str(found)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, default=Path("gpu.json"), help="where the results go")
    parser.add_argument("--seconds", type=float, default=450.0, help="after so many no part begins")
    parser.add_argument("--only", nargs="*", default=[], help="only the parts whose names begin so")
    arguments = parser.parse_args()
    if not torch.cuda.is_available():
        print("there is no GPU for CUDA here, and this measures one; everything else is in `make test`")
        return 2
    bench = Bench(arguments.json, arguments.seconds)

    def part(name: str, work: Callable[[], Any]) -> Any:
        if not arguments.only or any(name.startswith(each) for each in arguments.only):
            return bench.part(name, work)
        return None

    networks, device = architectures(), torch.device("cuda")
    part("machine", gpu_steps.machine)
    bounds = part("bounds", gpu_steps.bounds) or {}
    with tempfile.TemporaryDirectory() as folder:
        for name, check in gpu_checks.CHECKS.items():
            part(f"check {name}", lambda check=check: check(device, Path(folder)))
    for batch in BATCHES:
        for name, architecture in networks.items():
            for precision in PRECISIONS:
                part(
                    f"step {name} {batch} {precision}",
                    lambda a=architecture, b=batch, p=precision: gpu_steps.time_step(a, b, p, bounds),
                )
    for name in ("table1", "strong", "unet"):
        part(f"picture {name}", lambda name=name: gpu_steps.time_picture(shipped()[name], 4000, 6000))
    for batch in (4, 64):
        part(f"epoch {batch}", lambda batch=batch: gpu_steps.time_epoch(networks["table1"], batch))
    for name, batch in (("table1", 1024), ("dncnn-like", 1024), ("unet", 64)):
        for kind in PRECISIONS:
            part(
                f"profile {name} {batch} {kind}", lambda n=name, b=batch, k=kind: gpu_steps.profiled(networks[n], b, k)
            )
    for name, architecture in networks.items():
        part(f"compiled sums {name} 64", lambda a=architecture: gpu_steps.time_compiled_sums(a, 64))
    for name, architecture in networks.items():  # last, since it takes longest
        for batch in (4, 1024):
            part(
                f"compiled {name} {batch}",
                lambda a=architecture, b=batch: gpu_rivals.time_compiled(a, *gpu_steps.pair(a, b)),
            )
    print(f"\n{gpu_steps.table(bench.results)}")
    print(f"{bench.failures} parts failed; all results are in {arguments.json}")
    return 1 if bench.failures else 0


if __name__ == "__main__":
    sys.exit(main())
