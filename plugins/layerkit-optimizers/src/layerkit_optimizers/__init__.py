"""Optimizers for layerkit."""

from __future__ import annotations

from layerkit import OptimizerSpec, hookimpl

from layerkit_optimizers.momentum_sgd import MomentumSGD, MomentumSGDSpec
from layerkit_optimizers.rmsprop import RMSprop, RMSpropSpec

__all__ = ["MomentumSGD", "RMSprop"]


@hookimpl
def layerkit_optimizers() -> list[type[OptimizerSpec]]:
    return [MomentumSGDSpec, RMSpropSpec]
