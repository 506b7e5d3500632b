from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from layerkit.cli import main

ARCHITECTURES = Path(__file__).parents[2] / "architectures"


@pytest.fixture
def table1() -> str:
    return str(ARCHITECTURES / "table1.json")


@pytest.fixture
def unet() -> str:
    return str(ARCHITECTURES / "unet.json")


@pytest.fixture(scope="module")
def start() -> Iterator[Callable[..., BaseProcess]]:
    """Return a function that starts the command line in a process of its own, which has everything imported already."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["layerkit.cli.sweeping", "skimage.restoration", "skimage.metrics"])
    processes = []

    def start(*arguments: object) -> BaseProcess:
        process = context.Process(target=main, args=([str(argument) for argument in arguments],))
        process.start()
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.join()
