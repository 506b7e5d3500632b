"""What is installed holds everything that stands in the tree."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
BUILD = "from setuptools import setup; setup()"


def test_every_file_is_installed(tmp_path):
    lib = tmp_path / "lib"
    subprocess.run(
        [sys.executable, "-c", BUILD, "egg_info", "--egg-base", tmp_path, "build_py", "--build-lib", lib],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    there = {path.relative_to(ROOT / "src") for path in (ROOT / "src" / "layerkit").rglob("*") if path.is_file()}
    expected = {path for path in there if path.suffix not in {".pyc", ".pyd", ".so"}}
    assert expected == {path.relative_to(lib) for path in lib.rglob("*") if path.is_file()}
