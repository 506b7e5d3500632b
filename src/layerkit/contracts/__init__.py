"""What a component promises: the fields of its spec, and the methods of the object that the spec builds.

The author of a plugin finds everything here: the base classes and field types of specs, the base classes of the objects
that they build, the decorator that marks a hook, and the errors that a component may raise.
"""

from layerkit.contracts.fields import Channels, FloatDtype, Kernel, NumberOrRange, Padding, Scale, Stride, pair
from layerkit.contracts.hookspecs import hookimpl
from layerkit.contracts.loss import Loss
from layerkit.contracts.module import Module
from layerkit.contracts.noise import Noise
from layerkit.contracts.optimizer import Optimizer, Parameters
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
from layerkit.errors import ArgumentError, CheckpointError, ShapeError, StateError, TensorError

__all__ = [
    "AnyLayer",
    "AnyLoss",
    "AnyNoise",
    "AnyOptimizer",
    "AnySchedule",
    "ArgumentError",
    "Channels",
    "CheckpointError",
    "FloatDtype",
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
    "Parameters",
    "Scale",
    "Schedule",
    "ScheduleSpec",
    "Shape",
    "ShapeError",
    "StateError",
    "Stride",
    "TensorError",
    "chain",
    "hookimpl",
    "pair",
]
