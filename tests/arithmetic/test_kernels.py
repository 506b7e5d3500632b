"""The kernels of a GPU compile for one, which needs none: the interpreter, which runs them, accepts more."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable

import pytest

PROGRAM = """
import sys
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from layerkit.arithmetic.backends import _kernels, _window_kernels

POINTERS = {"target": "*fp32", "source": "*fp32", "bias": "*fp32", "weight": "*fp32", "grad": "*fp32",
            "numbers": "*i64", "factors": "*fp32"}
WINDOWS = {"PRECISION": "tf32", "PLACES": 128, "OUTPUTS": 16, "INNER": 16}
KERNELS = [
    (_kernels.sum_shifted, {"TERMS": 2, "PAIRS": 2, "SLOTS": 2, "BIASED": True, "DOUBLE": False, "PLACES": 8,
                            "LANES": 64}),
    (_window_kernels.multiply_windows, {"BIASED": True, **WINDOWS}),
    (_window_kernels.correlate_windows, WINDOWS),
]
for kernel, constants in KERNELS[:int(sys.argv[1])]:
    names = kernel.arg_names
    kinds = {name: "constexpr" if name in constants else POINTERS.get(name, "i32") for name in names}
    source = ASTSource(kernel, kinds, {(names.index(name),): value for name, value in constants.items()})
    compiled = triton.compile(source, target=GPUTarget("cuda", 90, 32))
    print(kernel.fn.__name__, len(compiled.asm["ptx"]) > 1000)
"""


def test_kernels_compile_for_a_gpu(
    python: Callable[..., subprocess.CompletedProcess[str]], thorough: bool, tmp_path
) -> None:
    pytest.importorskip("triton")
    count = 3 if thorough else 1  # a kernel with products takes ten seconds
    # Triton reads the source of a kernel, and keeps what it compiled in a folder.
    environment = dict(os.environ) | {"TRITON_CACHE_DIR": str(tmp_path), "TRITON_INTERPRET": "0"}
    done = python("-c", PROGRAM, str(count), env=environment)
    assert done.returncode == 0, done.stderr
    names = ("sum_shifted", "multiply_windows", "correlate_windows")[:count]
    assert done.stdout.split() == [word for name in names for word in (name, "True")]
