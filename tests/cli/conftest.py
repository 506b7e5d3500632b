from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from stepwise import Stepwise

ARCHITECTURES = Path(__file__).parents[2] / "architectures"

sys.path.insert(0, str(Path(__file__).parent))  # for stepwise.py and stopping.py, in processes that tests start too
sys.path.insert(0, str(Path(__file__).parents[1] / "distributed"))  # for together.py and works.py


@pytest.fixture
def table1() -> str:
    return str(ARCHITECTURES / "table1.json")


@pytest.fixture
def unet() -> str:
    return str(ARCHITECTURES / "unet.json")


@pytest.fixture(scope="module")
def start() -> Iterator[Callable[..., Stepwise]]:
    """Return a function that starts the command line in a process of its own, which has everything imported already."""
    from stepwise import Stepwise

    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["layerkit.cli.sweeping", "skimage.restoration", "skimage.metrics"])
    started = []

    def start(*arguments: object) -> Stepwise:
        started.append(Stepwise(context, [str(argument) for argument in arguments]))
        return started[-1]

    yield start
    for one in started:
        one.process.kill()
        one.finish()
