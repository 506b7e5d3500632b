"""The kinds of component, one table."""

from __future__ import annotations

from layerkit.contracts.specs import (
    Kind,
    LayerSpec,
    LossSpec,
    NoiseSpec,
    OptimizerSpec,
    ScheduleSpec,
    Spec,
)

KINDS: dict[Kind, type[Spec]] = {
    "layer": LayerSpec,
    "loss": LossSpec,
    "optimizer": OptimizerSpec,
    "noise": NoiseSpec,
    "schedule": ScheduleSpec,
}


_EXAMPLES: dict[Kind, str] = {
    "layer": "relu",
    "loss": "mse",
    "optimizer": "sgd",
    "noise": "gaussian",
    "schedule": "cosine",
}


HOOKS: dict[str, Kind] = {
    "layerkit_layers": "layer",
    "layerkit_losses": "loss",
    "layerkit_optimizers": "optimizer",
    "layerkit_noises": "noise",
    "layerkit_schedules": "schedule",
}


_A: dict[Kind, str] = {
    "layer": "a layer",
    "loss": "a loss",
    "optimizer": "an optimizer",
    "noise": "a noise",
    "schedule": "a schedule",
}


HEADINGS = {
    "layer": "Layers",
    "loss": "Losses",
    "optimizer": "Optimizers",
    "noise": "Noises",
    "schedule": "Schedules",
}
