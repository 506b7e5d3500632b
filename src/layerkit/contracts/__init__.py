"""What a component promises: its spec, and what the thing that the spec builds can do.

What the author of a plugin needs is here in one place: the base classes and the fields of specs, the base classes of
what they build, the mark of a hook, and the errors that a component may raise.
"""

from layerkit.contracts.fields import Channels, Kernel, NumberOrRange, Padding, Scale, Stride, pair
from layerkit.contracts.hookspecs import hookimpl
from layerkit.contracts.loss import Loss
from layerkit.contracts.module import Module
from layerkit.contracts.noise import Noise
from layerkit.contracts.optimizer import Optimizer
from layerkit.contracts.registered import AnyLayer, AnyLoss, AnyNoise, AnyOptimizer, AnySchedule
from layerkit.contracts.schedule import Schedule
from layerkit.contracts.specs import (
    Inner,
    LayerSpec,
    LossSpec,
    NoiseSpec,
    OptimizerSpec,
    ScheduleSpec,
    Shape,
    chain,
)
from layerkit.errors import CheckpointError, ShapeError, StateError

__all__ = [
    "AnyLayer",
    "AnyLoss",
    "AnyNoise",
    "AnyOptimizer",
    "AnySchedule",
    "Channels",
    "CheckpointError",
    "Inner",
    "Kernel",
    "LayerSpec",
    "Loss",
    "LossSpec",
    "Module",
    "Noise",
    "NoiseSpec",
    "NumberOrRange",
    "Optimizer",
    "OptimizerSpec",
    "Padding",
    "Scale",
    "Schedule",
    "ScheduleSpec",
    "Shape",
    "ShapeError",
    "StateError",
    "Stride",
    "chain",
    "hookimpl",
    "pair",
]
