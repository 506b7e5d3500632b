"""How fast layerkit is on a GPU, beside torch.nn in all its ways."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from benchmarks import compiled_sums, gpu_rivals
from benchmarks.gpu_rivals import DEVICE, STEPS, precision, seconds_of
from benchmarks.networks import LR, twin_of
from benchmarks.pictures import bytes_through
from layerkit import MSE, SGD, Architecture, Denoiser, Trainer, build
from layerkit.arithmetic import sums
from layerkit.arithmetic.backends import BACKENDS, Backend, plain
from layerkit.data.sources import load_dataset
from layerkit.spec.tracing import trace
from layerkit.training import recording
from layerkit.training.ahead import Batch, losses_of
from layerkit.training.loop import EpochDone, StepDone, fit

OWN = "layerkit"


def machine() -> dict[str, Any]:
    """Return what the numbers were measured on."""
    about = torch.cuda.get_device_properties(DEVICE)
    return {
        "gpu": about.name,
        "memory_gib": about.total_memory / 2**30,
        "multiprocessors": about.multi_processor_count,
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "triton": __import__("triton").__version__,
    }


def bounds() -> dict[str, float]:
    """Return the rates that bound every step: multiplications by kind of number, and bytes."""
    found = {}
    for name in ("float32", "tf32"):
        with precision(name):
            a, b = torch.randn(2, 8192, 8192, device=DEVICE)
            out = torch.empty_like(a)
            found[f"{name} TFLOP/s"] = 2e-12 * 8192**3 / seconds_of(lambda a=a, b=b, out=out: torch.mm(a, b, out=out))
    numbers = torch.empty(2**30, device=DEVICE)
    copy = torch.empty_like(numbers)
    found["TB/s"] = 8e-12 * 2**30 / seconds_of(lambda: copy.copy_(numbers))
    return found


def time_step(architecture: Architecture, batch: int, kind: str, rates: dict[str, float]) -> dict[str, Any]:
    """Return a row of the table: milliseconds of a step by candidate, and how they compare."""
    noisy, target = pair(architecture, batch)
    steps = STEPS if batch <= 64 else 4
    rows: dict[str, Any] = {}
    with precision(kind):
        candidates: dict[str, Callable[[], Callable[[], object]]] = {
            OWN: lambda: own(architecture, noisy, target, steps),
            f"{OWN}, not recorded": lambda: own(architecture, noisy, target, steps, records=False),
            f"{OWN}, plain sums": lambda: own(architecture, noisy, target, steps, backends=(plain,)),
            "torch.nn": lambda: gpu_rivals.eager(architecture, noisy, target, steps, False),
            "channels-last": lambda: gpu_rivals.eager(architecture, noisy, target, steps, True),
            "graph": lambda: gpu_rivals.graph(architecture, noisy, target, steps, False),
            "graph, channels-last": lambda: gpu_rivals.graph(architecture, noisy, target, steps, True),
        }
        for name, make in candidates.items():
            if ", " in name and name.startswith(OWN) and batch != 64:
                continue
            torch.cuda.reset_peak_memory_stats()
            try:
                rows[name] = 1e3 * seconds_of(make(), 0.4) / steps
            except Exception as error:
                rows[name] = f"{type(error).__name__}: {str(error).splitlines()[0][:200]}"
            if name == OWN:
                rows["GiB"] = torch.cuda.max_memory_allocated() / 2**30
            torch.cuda.empty_cache()
    rivals = [rows[name] for name in candidates if not name.startswith(OWN) and isinstance(rows[name], float)]
    if isinstance(rows[OWN], float) and rivals:
        rows["ratio"] = min(rivals) / rows[OWN]
        bound = _bound(architecture, batch, kind, rates)
        rows |= {"bound": bound, "share": bound / rows[OWN]}
    return rows


def pair(architecture: Architecture, batch: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator(DEVICE).manual_seed(batch)
    noisy, target = torch.rand(2, batch, *architecture.input.shape, generator=generator, device=DEVICE)
    return noisy, target


def _bound(architecture: Architecture, batch: int, kind: str, rates: dict[str, float]) -> float:
    """Return milliseconds below which no step can be: of the plain formula's products, or of the outputs' bytes.

    Forwards and backwards each output, and its gradient, is written once and read once.
    """
    steps = [step for step in trace(architecture.network, architecture.input.shape) if not step.container]
    flops = 6 * batch * sum(step.multiply_adds for step in steps)
    numbers = batch * sum(math.prod(step.output_shape) for step in steps)
    by_products = flops / (1e12 * rates.get(f"{kind} TFLOP/s", math.inf))
    return 1e3 * max(by_products, 4 * 4 * numbers / (1e12 * rates.get("TB/s", math.inf)))


def own(
    architecture: Architecture,
    noisy: Tensor,
    target: Tensor,
    steps: int,
    records: bool = True,
    backends: tuple[Backend, ...] = BACKENDS,
) -> Callable[[], object]:
    """Return what takes so many steps of layerkit, as a training does."""
    network = build(architecture, seed=0).to(device=DEVICE)
    trainer = Trainer(network, MSE(), SGD(network.param(), lr=LR))
    batches = [Batch(noisy, target, 0.0)] * steps
    before = recording.tape_on

    def call() -> None:
        if not records:
            recording.tape_on = lambda device: None
        sums.BACKENDS = backends
        try:
            list(losses_of(trainer, batches))
        finally:
            recording.tape_on, sums.BACKENDS = before, BACKENDS

    call()
    if records and trainer.recorder.remark:
        raise RuntimeError(trainer.recorder.remark)
    return call


def time_compiled_sums(architecture: Architecture, batch: int) -> dict[str, float]:
    """Return milliseconds of a step whose sums are kernels that torch.compile writes."""
    noisy, target = pair(architecture, batch)
    with precision("float32"):
        call = own(architecture, noisy, target, STEPS, backends=(compiled_sums, plain))
        return {"compiled sums": 1e3 * seconds_of(call, 0.4) / STEPS}


def time_picture(architecture: Architecture, height: int, width: int) -> dict[str, float]:
    """Return seconds for a large picture of bytes that lies in the processor's memory, and the GPU's memory for it."""
    generator = torch.Generator().manual_seed(0)
    picture = torch.randint(0, 256, (1, 3, height, width), generator=generator, dtype=torch.uint8)
    denoiser = Denoiser(build(architecture, seed=0).to(device=DEVICE), architecture.input.shape)
    found: dict[str, float] = {"tile": denoiser.tile}
    torch.cuda.reset_peak_memory_stats()
    with precision("float32"):
        found[OWN] = seconds_of(partial(denoiser.predict, picture), 2.0)
        found["GiB"] = torch.cuda.max_memory_allocated() / 2**30
        del denoiser
        torch.cuda.empty_cache()
        model = twin_of(architecture).to(DEVICE).to(memory_format=torch.channels_last).eval()
        run = bytes_through(model, torch.channels_last)
        torch.cuda.reset_peak_memory_stats()
        found["channels-last"] = seconds_of(lambda: run(picture.to(DEVICE)).cpu(), 2.0)
        found["channels-last GiB"] = torch.cuda.max_memory_allocated() / 2**30
    return found | {"ratio": found["channels-last"] / found[OWN]}


def time_epoch(architecture: Architecture, batch: int, samples: int = 50_000) -> dict[str, float]:
    """Return the seconds of an epoch with data and validation, and of its validation."""
    training = architecture.trained
    network = build(architecture, seed=0).to(device=DEVICE)
    trainer = Trainer(network, MSE(), SGD(network.param(), lr=0.1))
    dataset = load_dataset("photos", architecture.input.shape, training.noise.build(), 0, samples)
    assert dataset.train is not None
    denoiser = Denoiser(network, architecture.input.shape)
    last: Any = None
    steps = 0
    for event in fit(trainer, dataset.train, dataset.validation, denoiser, epochs=1, batch_size=batch):
        if isinstance(event, StepDone):
            steps += 1
        elif isinstance(event, EpochDone):
            last = event
    quality = last.evaluation.denoised.headline if last.evaluation else math.nan
    return {
        "seconds": last.train_seconds,
        "validation": last.validation_seconds,
        "microseconds_a_step": 1e6 * last.train_seconds / steps,
        "psnr": quality,
    }


def profiled(architecture: Architecture, batch: int, kind: str) -> list[str]:
    """Return the kernels that a step without a recording spends most of its time in, with microseconds a step."""
    noisy, target = pair(architecture, batch)
    activity = torch.profiler.ProfilerActivity
    with precision(kind):
        call = own(architecture, noisy, target, 4, records=False)
        call()
        with torch.profiler.profile(activities=[activity.CUDA, activity.CPU]) as profile:
            call()
            torch.cuda.synchronize()
    events = sorted(profile.key_averages(), key=lambda event: -event.self_device_time_total)
    return [
        f"{event.self_device_time_total / 4:.0f} us in {event.count / 4:.1f} x {event.key[:90]}"
        for event in events[:16]
        if event.self_device_time_total
    ]


def table(results: dict[str, Any]) -> str:
    """Return the rows of all steps as text."""
    names = (OWN, f"{OWN}, not recorded", "torch.nn", "channels-last", "graph", "graph, channels-last")
    lines = ["| network, batch, numbers | " + " | ".join(names) + " | bound | fastest / layerkit | share |"]
    lines.append("|---|" + "--:|" * (len(names) + 3))
    for key, row in results.items():
        if key.startswith("step ") and isinstance(row, dict):
            cells = [row.get(name) for name in (*names, "bound", "ratio", "share")]
            shown = [f"{cell:.3g}" if isinstance(cell, float) else "-" for cell in cells]
            lines.append(f"| {key.removeprefix('step ')} | " + " | ".join(shown) + " |")
    return "\n".join(lines)
