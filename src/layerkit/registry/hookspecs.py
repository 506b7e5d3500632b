"""The hooks a plugin may implement, and the mark with which it does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from layerkit.contracts.specs import LayerSpec, LossSpec, NoiseSpec, OptimizerSpec, ScheduleSpec

PROJECT = "layerkit"
"""The name of the pluggy project and of the entry-point group."""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def layerkit_layers() -> list[type[LayerSpec]]:
    """Return the specs of the layers that this plugin provides."""


@hookspec
def layerkit_losses() -> list[type[LossSpec]]:
    """Return the specs of the losses that this plugin provides."""


@hookspec
def layerkit_optimizers() -> list[type[OptimizerSpec]]:
    """Return the specs of the optimizers that this plugin provides."""


@hookspec
def layerkit_noises() -> list[type[NoiseSpec]]:
    """Return the specs of the noises that this plugin provides."""


@hookspec
def layerkit_schedules() -> list[type[ScheduleSpec]]:
    """Return the specs of the schedules that this plugin provides."""
