"""From an architecture to a network."""

from __future__ import annotations

import torch

from layerkit.architecture import Architecture
from layerkit.layers.sequential import Sequential


def build(architecture: Architecture, seed: int = 0) -> Sequential:
    """Return the network that ``architecture`` declares; the same seed gives the same weights."""
    generator = torch.Generator().manual_seed(seed)
    return architecture.network.build(architecture.input.shape, generator)
