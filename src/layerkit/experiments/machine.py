"""Describes the packages and the machine that a training or a measurement ran with."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from layerkit.contracts.specs import KindName
from layerkit.devices import described

PACKAGES = ("torch", "numpy", "scikit-image")
"""The packages, in addition to layerkit and the plugins, whose versions a result records."""


def surroundings(requires: Mapping[KindName, Mapping[str, str]], device: torch.device | str = "cpu") -> dict[str, Any]:
    """Return packages, machine and time as a result records them.

    Args:
        requires: the architecture's packages.
        device: where the network was trained.
    """
    packages = dict(package.split("==", 1) for names in requires.values() for package in names.values())
    for name in ("layerkit", *PACKAGES):
        try:
            packages[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    machine = {
        "processor": processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }
    device = torch.device(device)
    if device.type != "cpu":
        machine["device"] = described(device)
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    return {"packages": packages, "machine": machine, "finished": now}


def processor() -> str:
    """Return the model of the processor, if the system reports it."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
