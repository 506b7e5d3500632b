"""Constants of the arithmetic, as tensors on a device.

Each is moved there once. A copy from the processor's memory makes a GPU wait, and is an operation that cannot be
recorded (:mod:`layerkit.training.recording`), where a layer plans its pass anew in the middle of a recording.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

Values = tuple[float, ...] | tuple[tuple[float, ...], ...]


@lru_cache(maxsize=1024)
def constant(values: Values, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return numbers as a tensor, which is shared and must not be changed."""
    return torch.tensor(values, dtype=dtype, device=device)
