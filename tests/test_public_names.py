from __future__ import annotations

import subprocess
import sys

import pytest

import layerkit


@pytest.mark.parametrize("name", layerkit.__all__)
def test_every_public_name_is_there(name):
    assert getattr(layerkit, name) is not None


def test_the_report_s_modules_are_public():
    modules = {"Module", "Conv2d", "NearestUpsampling", "Upsampling", "ReLU", "Sigmoid", "MSE", "Sequential", "SGD"}
    assert modules <= set(layerkit.__all__)


def test_importing_layerkit_loads_no_torch_and_no_plugin():
    program = "import sys, layerkit; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert not set(done.stdout.split()) & {"torch", "pydantic", "pluggy", "layerkit.builtin"}


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="Conv3d"):
        _ = layerkit.Conv3d
