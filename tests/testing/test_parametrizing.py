"""The two lines in a plugin's test file."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from layerkit.testing import checks_for, parametrize_with_checks

PLUGIN = '''
from typing import Literal
import torch
from pydantic import Field
import layerkit

class Halved(layerkit.Module):
    def forward(self, x):
        return x / 2
    def backward(self, grad_output):
        return grad_output / FACTOR

class HalvedSpec(layerkit.LayerSpec):
    """y = x / 2."""
    type: Literal["halved"] = Field(description="The name.")
    def output_shape(self, input_shape):
        return input_shape
    def build(self, input_shape, generator):
        return Halved()

@layerkit.hookimpl
def layerkit_layers():
    return [HalvedSpec]
'''
TEST = """
import halved
from layerkit.testing import parametrize_with_checks

@parametrize_with_checks(halved, profile="quick"KNOWN)
def test_conformance(check):
    check()
"""


Python = Callable[..., subprocess.CompletedProcess[str]]


def pytest_in(folder: Path, python: Python, factor: str, known: str = "") -> subprocess.CompletedProcess[str]:
    (folder / "halved.py").write_text(PLUGIN.replace("FACTOR", factor))
    (folder / "test_halved.py").write_text(TEST.replace("KNOWN", known))
    return python("-m", "pytest", "-q", "-rsx", "-p", "no:cacheprovider", "test_halved.py", cwd=folder)


def test_a_right_layer_passes_the_whole_battery_from_a_plain_pytest(tmp_path: Path, python: Python) -> None:
    done = pytest_in(tmp_path, python, "2")
    assert done.returncode == 0, done.stdout
    counts = [int(word) for word in done.stdout.splitlines()[-1].split() if word.isdigit()]
    assert sum(counts) == len(checks_for("layer"))
    assert "the layer has no parameters" in done.stdout, "a check that is skipped says why"


def test_a_wrong_layer_fails_with_the_case_and_a_guess(tmp_path: Path, python: Python) -> None:
    done = pytest_in(tmp_path, python, "4", ', known_failures={"jacobian_of_small_inputs": "seen"}')
    assert done.returncode == 1
    assert "layer halved: input_gradient: failed" in done.stdout
    assert "everywhere 0.5 times" in done.stdout
    assert "again: layerkit.testing.run(HalvedSpec" in done.stdout
    assert "1 xfailed" in done.stdout


def test_the_argument_may_have_any_name() -> None:
    @parametrize_with_checks("relu", only="input_gradient", profile="quick")
    def test_something(its_name: object) -> None: ...

    (mark,) = test_something.pytestmark
    assert mark.args[0] == "its_name"
    (one,) = mark.args[1]
    assert str(one) == "relu-input_gradient"
    one()


def test_a_known_failure_that_passes_is_a_failure() -> None:
    @parametrize_with_checks("relu", only="input_gradient", profile="quick", known_failures={"input_gradient": "no"})
    def test_something(check: object) -> None: ...

    (one,) = test_something.pytestmark[0].args[1]
    with pytest.raises(pytest.fail.Exception, match="take it off the list"):
        one()
