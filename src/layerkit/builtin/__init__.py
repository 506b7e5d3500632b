"""The components that come with layerkit, registered through the same hooks as a stranger's."""

from __future__ import annotations

from layerkit.builtin.layers.avg_pool2d import AvgPool2dSpec
from layerkit.builtin.layers.conv2d import Conv2dSpec
from layerkit.builtin.layers.flatten import FlattenSpec
from layerkit.builtin.layers.linear import LinearSpec
from layerkit.builtin.layers.max_pool2d import MaxPool2dSpec
from layerkit.builtin.layers.nearest_upsampling import NearestUpsamplingSpec
from layerkit.builtin.layers.pixel_shuffle import PixelShuffleSpec
from layerkit.builtin.layers.relu import ReLUSpec
from layerkit.builtin.layers.repeat import RepeatSpec
from layerkit.builtin.layers.residual import ResidualSpec
from layerkit.builtin.layers.sequential import SequentialSpec
from layerkit.builtin.layers.sigmoid import SigmoidSpec
from layerkit.builtin.layers.skip import SkipSpec
from layerkit.builtin.layers.transposed_conv2d import TransposedConv2dSpec
from layerkit.builtin.layers.upsampling import UpsamplingSpec
from layerkit.builtin.losses.annealed_l0 import AnnealedL0Spec
from layerkit.builtin.losses.huber import HuberSpec
from layerkit.builtin.losses.l1 import L1Spec
from layerkit.builtin.losses.masked import MaskedSpec
from layerkit.builtin.losses.mse import MSESpec
from layerkit.builtin.noises.bernoulli import BernoulliSpec
from layerkit.builtin.noises.gaussian import GaussianSpec
from layerkit.builtin.noises.impulse import ImpulseSpec
from layerkit.builtin.noises.pixelate import PixelateSpec
from layerkit.builtin.noises.poisson import PoissonSpec
from layerkit.builtin.noises.text import TextSpec
from layerkit.builtin.optimizers.sgd import SGDSpec
from layerkit.builtin.schedules.cosine import CosineSpec
from layerkit.builtin.schedules.linear import LinearSpec as LinearScheduleSpec
from layerkit.builtin.schedules.steps import StepsSpec
from layerkit.contracts.specs import LayerSpec, LossSpec, NoiseSpec, OptimizerSpec, ScheduleSpec
from layerkit.registry.hookspecs import hookimpl


@hookimpl
def layerkit_layers() -> list[type[LayerSpec]]:
    return [
        AvgPool2dSpec,
        Conv2dSpec,
        FlattenSpec,
        LinearSpec,
        MaxPool2dSpec,
        NearestUpsamplingSpec,
        PixelShuffleSpec,
        ReLUSpec,
        RepeatSpec,
        ResidualSpec,
        SequentialSpec,
        SigmoidSpec,
        SkipSpec,
        TransposedConv2dSpec,
        UpsamplingSpec,
    ]


@hookimpl
def layerkit_losses() -> list[type[LossSpec]]:
    return [AnnealedL0Spec, HuberSpec, L1Spec, MaskedSpec, MSESpec]


@hookimpl
def layerkit_optimizers() -> list[type[OptimizerSpec]]:
    return [SGDSpec]


@hookimpl
def layerkit_noises() -> list[type[NoiseSpec]]:
    return [BernoulliSpec, GaussianSpec, ImpulseSpec, PixelateSpec, PoissonSpec, TextSpec]


@hookimpl
def layerkit_schedules() -> list[type[ScheduleSpec]]:
    return [CosineSpec, LinearScheduleSpec, StepsSpec]
