"""Activation functions for layerkit."""

from __future__ import annotations

from layerkit import LayerSpec, hookimpl

from layerkit_activations.elu import ELU, ELUSpec
from layerkit_activations.gelu import GELU, GELUSpec
from layerkit_activations.leaky_relu import LeakyReLU, LeakyReLUSpec
from layerkit_activations.prelu import PReLU, PReLUSpec
from layerkit_activations.silu import SiLU, SiLUSpec
from layerkit_activations.softplus import Softplus, SoftplusSpec
from layerkit_activations.tanh import Tanh, TanhSpec

__all__ = ["ELU", "GELU", "LeakyReLU", "PReLU", "SiLU", "Softplus", "Tanh"]


@hookimpl
def layerkit_layers() -> list[type[LayerSpec]]:
    return [ELUSpec, GELUSpec, LeakyReLUSpec, PReLUSpec, SiLUSpec, SoftplusSpec, TanhSpec]
