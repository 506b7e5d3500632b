"""Compiled code shares the threads of torch: two runtimes of OpenMP in one process would fight for the cores."""

from __future__ import annotations

import json
import sys

import pytest

CHILD = """
import json, re
import torch
from layerkit import layers

network = layers.Sequential(layers.Conv2d(3, 8, 3, padding=1), layers.ReLU())
network.backward(network.forward(torch.rand(2, 3, 16, 16)))
network.eval().forward(torch.rand(2, 3, 16, 16))
with open("/proc/self/maps") as maps:
    paths = {line.split(None, 5)[-1].strip() for line in maps}
print(json.dumps(sorted(path for path in paths if re.search(r"/lib[gi]?omp[^/]*$", path))))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lists what a process has loaded in this way")
def test_there_is_one_runtime_of_openmp(python) -> None:
    child = python("-c", CHILD, check=True)
    assert len(json.loads(child.stdout)) == 1, child.stdout
