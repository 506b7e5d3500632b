from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, settings

from layerkit import build, load_architecture, save

# The tests' tensors are small, and several processes share the cores: with more
# threads than one they take many times longer. So do the processes that tests start.
torch.set_num_threads(1)
os.environ["OMP_NUM_THREADS"] = "1"

# The same examples in every run, and no limit of time for any of them: on a busy machine each takes what it takes.
settings.register_profile("layerkit", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("layerkit")


THOROUGH = os.environ.get("LAYERKIT_THOROUGH", "") not in ("", "0")


@pytest.fixture(scope="session")
def thorough() -> bool:
    """Whether the long form of a test was asked for, with LAYERKIT_THOROUGH=1."""
    return THOROUGH


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the tests that are marked ``thorough``, unless the long form was asked for."""
    left_out = [] if THOROUGH else [item for item in items if item.get_closest_marker("thorough")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if not item.get_closest_marker("thorough")]


def pytest_collection_finish(session: pytest.Session) -> None:
    """Let the garbage collector leave alone what has been imported and collected, which stays to the end."""
    gc.collect()
    gc.freeze()


@contextmanager
def _at_most(calls: int) -> Iterator[None]:
    left = calls

    def count(frame: Any, event: str, argument: Any) -> None:
        nonlocal left
        left -= event in ("call", "c_call")
        if left < 0:
            sys.setprofile(None)
            pytest.fail(f"more than {calls:,} functions are called")

    sys.setprofile(count)
    try:
        yield
    finally:
        sys.setprofile(None)


@pytest.fixture(scope="session")
def at_most() -> Callable[[int], AbstractContextManager[None]]:
    """Return ``at_most(calls)``: a limit of work, and not of time, for what is done inside.

    Calls of functions come out the same on every machine. One too many fails at once, so that work without end ends.
    """
    return _at_most


@contextmanager
def _copies_of(interpreter: str | Path, folder: Path) -> Iterator[Callable[..., subprocess.CompletedProcess[str]]]:
    streams = {name: folder / name for name in ("input", "output", "errors")}
    command = [interpreter, Path(__file__).with_name("fork_server.py")]
    # Each program has a PYTHONPATH of its own.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment) as server:

        def python(
            *arguments: object, cwd: Path | None = None, env: dict[str, str] | None = None, check: bool = False
        ) -> subprocess.CompletedProcess[str]:
            for path in streams.values():
                path.write_text("")
            program = {"arguments": list(map(str, arguments)), "cwd": str(cwd or Path.cwd())}
            program |= {"env": env or dict(os.environ), **{name: str(path) for name, path in streams.items()}}
            print(json.dumps(program), file=server.stdin, flush=True)
            code = int(server.stdout.readline())
            done = subprocess.CompletedProcess(
                program["arguments"], code, streams["output"].read_text(), streams["errors"].read_text()
            )
            if check:
                assert code == 0, done.stderr
            return done

        yield python


@pytest.fixture(scope="session")
def copies_of() -> Callable[[str | Path, Path], AbstractContextManager[Callable[..., Any]]]:
    """Return ``copies_of(interpreter, folder)``: inside ``with`` it is a function such as :func:`python`.

    Its programs run in copies of a process of that interpreter; ``folder`` is an empty one for their streams.
    """
    return _copies_of


@pytest.fixture(scope="session")
def python(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., subprocess.CompletedProcess[str]]]:
    """Return a function that runs a program in a process of its own, which has torch imported and no layerkit.

    Its arguments are those of the interpreter, ``-c PROGRAM ...`` or ``-m MODULE ...``. See ``tests/fork_server.py``.
    """
    with _copies_of(sys.executable, tmp_path_factory.mktemp("programs")) as python:
        yield python


@pytest.fixture
def no_classical_methods(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out of tables what classical methods reach, which takes longer than all the rest of a short training."""
    for module in ("training", "tables"):  # of train and of evaluate
        monkeypatch.setattr(f"layerkit.cli.{module}.classical_results", lambda *_: [])


@dataclass(frozen=True)
class Tiny:
    """A training of 40 pairs of 8x8 pixels, ten steps an epoch, and six pictures for validation."""

    data: Path

    def tree(self, **training: Any) -> dict[str, Any]:
        """Return a spec with layers that draw numbers and keep statistics; ``training`` replaces values of its own."""
        convolution = {"type": "conv2d", "out_channels": 2, "kernel_size": 3, "padding": 1}
        return {
            "format": 1,
            "name": "tiny",
            "input": {"channels": 3, "height": 8, "width": 8},
            "layers": [
                convolution,
                {"type": "residual", "layers": [{"type": "batch_norm2d"}, {"type": "relu"}, {"type": "dropout"}]},
                convolution | {"out_channels": 3},
            ],
            "training": {
                "loss": {"type": "mse"},
                "optimizer": {"type": "sgd", "lr": 0.05},
                "noise": {"type": "gaussian", "sigma": 25},
                "batch_size": 4,
                "epochs": 2,
                **training,
            },
        }

    def spec(self, folder: Path, **training: Any) -> Path:
        """Return a file in ``folder`` with :meth:`tree`."""
        path = folder / "tiny.json"
        path.write_text(json.dumps(self.tree(**training)))
        return path


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    generator = np.random.default_rng(0)
    data = tmp_path_factory.mktemp("tiny") / "pairs.npz"
    many, few = (generator.integers(0, 256, (count, 3, 8, 8), dtype=np.uint8) for count in (40, 6))
    np.savez(data, noisy_1=many, noisy_2=many[:, :, ::-1], noisy=few, clean=few[:, :, ::-1])
    return Tiny(data)


class FaultyOs:
    """The ``os`` module, in which one call out of a series fails."""

    def __init__(
        self, nth: int, number: int, calls: tuple[str, ...] = ("open", "write", "fsync", "fchmod", "replace", "close")
    ) -> None:
        self.left, self.number, self.calls = nth, number, calls

    def __getattr__(self, name: str) -> Any:
        real = getattr(os, name)
        if name not in self.calls:
            return real

        def faulty(*arguments: Any, **named: Any) -> Any:
            self.left -= 1
            if self.left == 0:
                if name == "close":
                    real(*arguments)
                raise OSError(self.number, os.strerror(self.number))
            return real(*arguments, **named)

        return faulty


@pytest.fixture(scope="session")
def faulty_os() -> type[FaultyOs]:
    return FaultyOs


@pytest.fixture
def saved(tmp_path, tiny) -> Path:
    """Return a checkpoint with parameters, statistics, a generator and an optimizer's state."""
    architecture = load_architecture(json.dumps(tiny.tree(optimizer={"type": "adam"})))
    network = build(architecture, 3)
    optimizer = architecture.training.optimizer.build(network.param())
    save(tmp_path / "saved.safetensors", network, architecture, optimizer=optimizer, position={"epoch": 1})
    return tmp_path / "saved.safetensors"
