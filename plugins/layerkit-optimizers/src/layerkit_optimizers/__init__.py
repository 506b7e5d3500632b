"""Optimizers for layerkit."""

from __future__ import annotations

from layerkit import OptimizerSpec, hookimpl

from layerkit_optimizers.adam import Adam, AdamSpec
from layerkit_optimizers.adamw import AdamW, AdamWSpec
from layerkit_optimizers.momentum_sgd import MomentumSGD, MomentumSGDSpec
from layerkit_optimizers.rmsprop import RMSprop, RMSpropSpec

__all__ = ["Adam", "AdamW", "MomentumSGD", "RMSprop"]


@hookimpl
def layerkit_optimizers() -> list[type[OptimizerSpec]]:
    return [AdamSpec, AdamWSpec, MomentumSGDSpec, RMSpropSpec]
