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
        SystemExit: when the file is larger than a package should hold; what is there already stays then.
    """
    loaded = load(checkpoint)
    target.parent.mkdir(exist_ok=True)
    packed = target.with_suffix(".new")
    save(packed, loaded.network, loaded.architecture, position=loaded.position, noise_range=loaded.noise_range)
    size = packed.stat().st_size
    if size > MAX_BYTES:
        packed.unlink()
        raise SystemExit(f"{checkpoint} would take {size:,} bytes in the package, and may take {MAX_BYTES:,}")
    packed.replace(target)
    print(f"{target}: {size:,} bytes")


if __name__ == "__main__":
    pack(*sys.argv[1:])
