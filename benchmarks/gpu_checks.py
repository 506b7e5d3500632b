"""What is computed on a GPU, held against the processor; each check returns the largest difference that it found."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.networks import architectures
from benchmarks.pictures import shipped
from layerkit import MSE, SGD, Adam, Denoiser, Trainer, build, load, load_architecture
from layerkit.arithmetic import sums
from layerkit.arithmetic.axes import Axis, Term
from layerkit.arithmetic.backends import BACKENDS, Backend, gpu, plain
from layerkit.arithmetic.sums import Sums
from layerkit.arithmetic.winograd import SCHEMES
from layerkit.devices import computing_in
from layerkit.registry.catalogue import installed
from layerkit.training import recording
from layerkit.training.ahead import Batch, losses_of
from layerkit.training.run import Run, Settings
from layerkit.training.session import Session

TOLERANCE = {torch.float64: 1e-10, torch.float32: 2e-3}


@contextmanager
def only(*backends: Backend) -> Iterator[None]:
    """Compute all sums inside ``with`` by these backends."""
    sums.BACKENDS = backends
    try:
        yield
    finally:
        sums.BACKENDS = BACKENDS


def apart(given: Tensor, expected: Tensor, tolerance: float | None = None) -> float:
    """Return the largest difference of two tensors, relative to the largest number expected.

    Raises:
        AssertionError: when it is larger than rounding explains.
    """
    scale = float(expected.abs().max()) if expected.numel() else 0.0
    difference = float((given.to(expected) - expected).abs().max()) / max(scale, 1e-30) if scale else 0.0
    assert difference <= (tolerance or TOLERANCE[expected.dtype]), f"differs by {difference:.3g} of the largest number"
    return difference


def kernels(device: torch.device, folder: Path) -> dict[str, float]:
    """The kernels of the sums against the operations of torch, in all the shapes that layers use."""
    scheme = SCHEMES[1]
    tap = Axis(1, 3, tuple(Term(0, t, t - 1, 1) for t in range(3)))
    stride = Axis(2, 2, tuple(Term(t, t, 0, 1) for t in range(2)))
    cases = {
        "winograd out": Sums(scheme.output_axis(), scheme.output_axis()),
        "winograd in": Sums(scheme.input_axis(1), scheme.input_axis(1)),
        "taps": Sums(tap, tap),
        "stride": Sums(stride, stride),
    }
    found = {}
    for name, case in cases.items():
        for dtype in (torch.float32, torch.float64):
            for channels in (3, 44, 64, 100):
                generator = torch.Generator().manual_seed(0)
                size = 3, 13, 11, case.down.products, case.across.products, channels
                z = torch.randn(size, generator=generator, dtype=dtype)
                y = torch.randn(
                    3, 13 * case.down.phases - 1, 11 * case.across.phases, channels, generator=generator, dtype=dtype
                )
                bias = torch.randn(channels, generator=generator, dtype=dtype)
                results = []
                for backend, where in ((gpu, device), (plain, torch.device("cpu"))):
                    with only(backend):
                        a, b, c = z.to(where), y.to(where), bias.to(where)
                        out, back = torch.full_like(b, torch.nan), torch.full_like(a, torch.nan)
                        moves = case.combine(a, out, lambda shape, a=a: a.new_empty(shape), c)
                        moves += case.combine_transposed(b, back, lambda shape, a=a: a.new_empty(shape))
                        for move in moves:
                            move()
                        results.append((out.cpu(), back.cpu()))
                worst = max(apart(*pair) for pair in zip(*results, strict=True))
                found[name] = max(found.get(name, 0.0), worst)
    return found


def gradients(device: torch.device, folder: Path) -> dict[str, float]:
    """Loss, gradients and evaluation of whole networks in double and single precision, by the kernels and without."""
    found = {}
    for name, architecture in {**architectures(), "strong": shipped()["strong"]}.items():
        for dtype in (torch.float64, torch.float32):
            for backends in ((gpu, plain), (plain,)):
                expected = _step(architecture, dtype, torch.device("cpu"))
                with only(*backends):
                    given = _step(architecture, dtype, device)
                worst = max(apart(*pair) for pair in zip(given, expected, strict=True))
                found[f"{name} {str(dtype)[6:]} {'kernels' if gpu in backends else 'plain'}"] = worst
    return found


def tf32(device: torch.device, folder: Path) -> dict[str, float]:
    """Whole networks with TF32, whose convolutions multiply windows where they lie, as near as eleven bits can be."""
    found = {}
    for name, architecture in architectures().items():
        expected = _step(architecture, torch.float32, torch.device("cpu"))
        with computing_in("tf32"):
            given = _step(architecture, torch.float32, device)
        found[name] = max(apart(*pair, tolerance=0.03) for pair in zip(given, expected, strict=True))
    return found


def _step(architecture: Any, dtype: torch.dtype, device: torch.device) -> list[Tensor]:
    network = build(architecture, seed=0).to(dtype=dtype, device=device)
    generator = torch.Generator().manual_seed(1)
    noisy, target = torch.rand(2, 5, *architecture.input.shape, generator=generator, dtype=dtype).to(device)
    loss = Trainer(network, MSE(), SGD(network.param(), lr=0.0)).step(noisy, target)
    answer = network.eval()(noisy)
    return [torch.tensor([loss], dtype=dtype), answer.cpu(), *(gradient.cpu() for _, gradient in network.param())]


def recorded(device: torch.device, folder: Path) -> dict[str, Any]:
    """Steps by a graph have the bits of steps without, with random layers, statistics and a smaller last batch."""
    found = {}
    for name, architecture in {"stochastic": _stochastic(), **architectures()}.items():
        results = []
        for records in (True, False):
            before = recording.tape_on
            if not records:
                recording.tape_on = lambda device: None
            try:
                network = build(architecture, seed=0).to(device=device)
                trainer = Trainer(network, MSE(), Adam(network.param(), lr=1e-3))
                generator = torch.Generator().manual_seed(2)
                shape = architecture.input.shape
                batches = [
                    Batch(*torch.rand(2, size, *shape, generator=generator).to(device), 0.0)
                    for size in (8, 8, 8, 8, 8, 8, 5, 5, 5, 5)
                ]
                losses = list(losses_of(trainer, batches))
                results.append((losses, [tensor.clone() for tensor in network.state_dict().values()]))
                if records:
                    found[name] = trainer.recorder.remark or "recorded"
            finally:
                recording.tape_on = before
        (losses, weights), (expected, others) = results
        assert losses == expected, f"{name}: the losses are {losses} by a graph, and {expected} without"
        assert all(map(torch.equal, weights, others)), f"{name}: the weights have other bits by a graph"
    return found


def _stochastic() -> Any:
    return load_architecture(
        json.dumps(
            {
                "format": 1,
                "name": "stochastic",
                "input": {"channels": 3, "height": 16, "width": 16},
                "layers": [
                    {"type": "conv2d", "out_channels": 16, "kernel_size": 3, "padding": 1},
                    {"type": "batch_norm2d"},
                    {"type": "dropout", "p": 0.3},
                    {"type": "relu"},
                    {"type": "conv2d", "out_channels": 3, "kernel_size": 3, "padding": 1},
                ],
            }
        )
    )


def diverging(device: torch.device, folder: Path) -> str:
    """A loss that is not finite, among steps that nobody looks at, leaves the network as before its step."""
    architecture = architectures()["table1"]
    shape = architecture.input.shape
    generator = torch.Generator().manual_seed(3)
    batches = [Batch(*torch.rand(2, 4, *shape, generator=generator).to(device), 0.0) for _ in range(12)]
    networks = [build(architecture, seed=0).to(device=device) for _ in range(2)]
    trainers = [Trainer(network, MSE(), SGD(network.param(), lr=0.1)) for network in networks]
    for batch in batches[:9]:
        trainers[1].step(batch.noisy, batch.target)
    batches[9].target[0] = torch.nan
    taken = 0
    try:
        for _ in losses_of(trainers[0], batches):
            taken += 1
    except Exception as error:
        assert taken == 9, f"the error came after {taken} steps"
        pairs = zip(*(network.state_dict().values() for network in networks), strict=True)
        assert all(torch.equal(*pair) for pair in pairs), "the network is not as it was before the step"
        return f"{type(error).__name__} in step 10: {error}"
    raise AssertionError("no error")


def resuming(device: torch.device, folder: Path) -> dict[str, float]:
    """A run that began on one device goes on on another, and comes out nearly the same."""
    found = {}
    tree = json.loads((Path(__file__).parents[1] / "architectures/table1.json").read_text())
    tree.pop("$schema", None)
    tree["training"] |= {"samples": 400, "epochs": 2, "batch_size": 8}
    architecture = load_architecture(json.dumps(tree))
    weights = {}
    for name, places in {"cpu": ("cpu", "cpu"), "gpu": (device, device), "gpu, cpu": (device, "cpu")}.items():
        path = folder / name.replace(", ", "-")
        Run.start(path, architecture, Settings(data="photos")).close()
        for epochs, place in enumerate(places, start=1):
            with Run.open(path) as run:
                for _ in Session.open(run, installed(), epochs=epochs, device=place).events():
                    pass
        weights[name] = load(path / "checkpoint.safetensors").network.state_dict()
    for name, state in weights.items():
        pairs = zip(state.values(), weights["cpu"].values(), strict=True)
        found[name] = max(float((a - b).abs().max()) for a, b in pairs)
        assert found[name] < 0.02, f"{name}: a weight differs by {found[name]}"
    return found


def tiles(device: torch.device, folder: Path) -> float:
    """A picture in tiles is the picture in one piece, and the processor's, to a step of eight bits."""
    architecture = shipped()["strong"]
    picture = torch.randint(0, 256, (1, 3, 700, 900), generator=torch.Generator().manual_seed(4)).byte()
    answers = [
        Denoiser(build(architecture, seed=0).to(device=where), architecture.input.shape, tile).predict(picture)
        for where, tile in ((device, None), (device, 256), ("cpu", 256))
    ]
    worst = max(int((answer.int() - answers[0].int()).abs().max()) for answer in answers)
    assert worst <= 1, f"some bytes differ by {worst}"
    return float(worst)


def components(device: torch.device, folder: Path) -> dict[str, Any]:
    """Every component on the GPU gives what it gives on the processor."""

    from layerkit.testing import run

    report = run(only="same_on_the_device", profile="quick", device=device)
    failed = {f"{result.kind} {result.component}": str(result.failure) for result in report.failures}
    assert not failed, f"{len(failed)} components differ: {json.dumps(failed)[:2000]}"
    return {"components": len(report.results)}


CHECKS: dict[str, Callable[[torch.device, Path], Any]] = {
    check.__name__: check for check in (kernels, gradients, tf32, recorded, diverging, resuming, tiles, components)
}
