"""``pip install layerkit`` alone: its wheel, the packages it declares, and nothing else, in an empty environment."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from PIL import Image

ROOT = Path(__file__).parents[1]

Python = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the wheel of the tree as a clone has it, without what was built in it."""
    tree, built = tmp_path_factory.mktemp("tree"), tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tree)
    shutil.copytree(ROOT / "src", tree / "src", ignore=shutil.ignore_patterns("__pycache__", "*.so", "*.egg-info"))
    command = ["wheel", "--no-deps", "--no-build-isolation", "--no-index", "--quiet", "--wheel-dir", built, tree]
    subprocess.run([sys.executable, "-m", "pip", *command], check=True)
    (path,) = built.glob("*.whl")
    return path


def declared(wheel: Path) -> list[str]:
    """Return what the wheel says it requires."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        lines = archive.read(name).decode().partition("\n\n")[0].splitlines()
    return [line.partition(": ")[2] for line in lines if line.startswith("Requires-Dist: ")]


def closure(requirements: list[str]) -> Iterator[Distribution]:
    """Yield the installed distributions that these requirements come to, each once, without any extra of layerkit's."""
    waiting, seen = [(Requirement(text), "") for text in requirements], set()
    while waiting:
        requirement, extra = waiting.pop()
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": extra}):
            continue
        name = canonicalize_name(requirement.name)
        try:
            found = distribution(name)
        except PackageNotFoundError:
            continue  # a package that this environment does without, and so must the next
        for of in {"", *requirement.extras}:
            if (name, of) not in seen:
                seen.add((name, of))
                waiting += [(Requirement(text), of) for text in found.requires or ()]
                yield found


def link(found: Distribution, site: Path) -> None:
    """Let the packages and modules of a distribution appear in another environment."""
    folder = Path(str(found.locate_file("")))
    for top in {file.parts[0] for file in found.files or () if not file.is_absolute()} - {"..", "__pycache__"}:
        if not os.path.lexists(site / top):
            (site / top).symlink_to(folder / top)


@pytest.fixture(scope="module")
def scripts(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the programs of an environment in which layerkit alone is installed."""
    home = tmp_path_factory.mktemp("environment")
    venv.create(home, symlinks=True)
    paths = sysconfig.get_paths("venv", {"base": str(home), "platbase": str(home), "installed_base": str(home)})
    for found in closure(declared(wheel)):
        link(found, Path(paths["purelib"]))
    interpreter = Path(paths["scripts"]) / "python"
    command = ["--python", interpreter, "install", "--no-deps", "--no-index", "--no-compile", "--quiet", wheel]
    subprocess.run([sys.executable, "-m", "pip", *command], check=True)
    return Path(paths["scripts"])


ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "LAYERKIT"))}


@pytest.fixture
def layerkit(scripts: Path, tmp_path: Path) -> Python:
    """Return a function that runs the program ``layerkit`` itself, in a new process."""

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [scripts / "layerkit", *map(str, arguments)]
        return subprocess.run(command, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True)

    return run


@pytest.fixture(scope="module")
def python(scripts: Path, tmp_path_factory: pytest.TempPathFactory, copies_of: Callable[..., Any]) -> Iterator[Python]:
    """Return a function that runs Python programs of that environment; ``-m layerkit`` is the command line."""
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    with copies_of(scripts / "python", tmp_path_factory.mktemp("streams")) as python:
        yield partial(python, cwd=elsewhere, env=ENVIRONMENT)


def test_every_file_of_the_tree_is_in_the_wheel(wheel):
    files = (path for path in (ROOT / "src" / "layerkit").rglob("*") if path.is_file())
    there = {path.relative_to(ROOT / "src").as_posix() for path in files}
    expected = {name for name in there if not name.endswith((".pyc", ".pyd", ".so"))}
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if name.startswith("layerkit/")}
    assert expected == {name for name in held if not name.endswith((".pyd", ".so"))}


def test_nothing_else_is_there(python):
    program = "import importlib.metadata as m, json; print(json.dumps([d.name for d in m.distributions()]))"
    names = {canonicalize_name(name) for name in json.loads(python("-c", program).stdout)}
    assert {"layerkit", "torch", "pydantic"} <= names
    assert not names & {"pytest", "hypothesis", "ruff", "mypy", "pip", "optuna", "layerkit-optimizers"}
    plugins = json.loads(python("-m", "layerkit", "plugins", "--json").stdout)
    assert [(plugin["name"], plugin["status"]) for plugin in plugins] == [("builtin", "loaded")]


def test_the_help(layerkit):
    told = layerkit("--help")
    assert (told.returncode, told.stderr) == (0, "")
    assert "denoise" in told.stdout


def test_the_main_job(python, tmp_path):
    """Train the network that comes along, on few pairs, and denoise a picture with it."""
    drawn = np.random.default_rng(0)
    many, few = (drawn.integers(0, 256, (count, 3, 32, 32), dtype=np.uint8) for count in (64, 4))
    np.savez(tmp_path / "pairs.npz", noisy_1=many, noisy_2=many[::-1], noisy=few, clean=few[::-1])
    trained = python("-m", "layerkit", "train", "--data", tmp_path / "pairs.npz", "--epochs", "1", "--output", "run")
    assert trained.returncode == 0, trained.stderr
    Image.fromarray(drawn.integers(0, 256, (50, 70, 3), dtype=np.uint8)).save(tmp_path / "in.png")
    denoised = python("-m", "layerkit", "denoise", "run/checkpoint.safetensors", tmp_path / "in.png", "--output", "out")
    assert (denoised.returncode, denoised.stderr) == (0, "")
    size = python("-c", "from PIL import Image; print(Image.open('out/in.png').size)")
    assert size.stdout == "(70, 50)\n"


def test_a_picture_is_denoised_without_any_training(layerkit, tmp_path):
    noise = 25 * np.random.default_rng(0).standard_normal((96, 96, 3))
    Image.fromarray((128 + noise).round().astype(np.uint8)).save(tmp_path / "in.png")
    denoised = layerkit("denoise", tmp_path / "in.png", "--output", tmp_path / "out")
    assert (denoised.returncode, denoised.stderr) == (0, "")
    assert ", Gaussian noise, about 24 of 255, give or take 3 %" in denoised.stdout
    assert np.asarray(Image.open(tmp_path / "out" / "in.png")).std() < 5


def test_the_photographs_that_come_along(python):
    program = (
        "from layerkit.builtin.noises.gaussian import Gaussian; from layerkit.data.sources import PHOTOS, load_dataset;"
        "print(len(load_dataset(PHOTOS, (3, 8, 8), Gaussian(25), 0, 16, validation_samples=8).train))"
    )
    opened = python("-c", program)
    assert (opened.stdout, opened.stderr) == ("16\n", "")


def test_a_new_plugin(python):
    written = python("-m", "layerkit", "new-plugin", "layerkit-mine")
    assert written.returncode == 0, written.stderr
    assert "layerkit-mine/pyproject.toml" in written.stdout


@pytest.mark.parametrize("program", ["from layerkit.testing import run", "import layerkit.testing as t; t.BATTERY"])
def test_the_extra_of_the_kit_is_named(python, program):
    told = python("-c", program)
    assert told.returncode == 1
    assert "the conformance kit needs hypothesis: pip install 'layerkit[testing]'" in told.stderr


def test_the_command_of_the_kit_names_the_extra(python):
    told = python("-m", "layerkit", "conformance", "relu")
    assert (told.returncode, told.stdout) == (2, "")
    assert told.stderr == "error: the conformance kit needs hypothesis: pip install 'layerkit[testing]'\n"
