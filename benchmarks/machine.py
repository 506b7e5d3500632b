"""What the measurements were taken on."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime

import torch

from layerkit.arithmetic.backends import fused
from layerkit.experiments.machine import processor


def describe() -> dict[str, object]:
    """Return the machine, the libraries, and how busy the machine is."""
    return {
        "processor": processor(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "torch": torch.__version__,
        "capability": torch.backends.cpu.get_cpu_capability(),
        "mkl": torch.backends.mkl.is_available(),
        "onednn": torch.backends.mkldnn.is_available(),
        "compiled_sums": not fused.unavailable(),
        "load_average": os.getloadavg(),
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }
