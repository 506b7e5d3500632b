"""Puts a trained network into the package: ``python -m benchmarks.pack runs/pretrained/checkpoint.safetensors``."""

from __future__ import annotations

import sys
from pathlib import Path

from layerkit.checkpoints.checkpoint import load, save

TARGET = Path(__file__).parents[1] / "src" / "layerkit" / "pretrained" / "pretrained.safetensors"
MAX_BYTES = 4_000_000


def pack(checkpoint: str, target: Path = TARGET) -> None:
    """Write the weights, the spec and how far the training came, without the optimizer's state.

    Raises:
        SystemExit: when the file is larger than a package should hold.
    """
    loaded = load(checkpoint)
    target.parent.mkdir(exist_ok=True)
    save(target, loaded.network, loaded.architecture, position=loaded.position, noise_range=loaded.noise_range)
    if target.stat().st_size > MAX_BYTES:
        raise SystemExit(f"{target} has {target.stat().st_size:,} bytes, and should have at most {MAX_BYTES:,}")
    print(f"{target}: {target.stat().st_size:,} bytes")


if __name__ == "__main__":
    pack(*sys.argv[1:])
