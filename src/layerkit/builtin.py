"""The components that come with layerkit, registered through the same hooks as a stranger's."""

from __future__ import annotations

from layerkit.component import LayerSpec, LossSpec, NoiseSpec, OptimizerSpec, ScheduleSpec
from layerkit.hookspecs import hookimpl
from layerkit.layers.avg_pool2d import AvgPool2dSpec
from layerkit.layers.conv2d import Conv2dSpec
from layerkit.layers.flatten import FlattenSpec
from layerkit.layers.linear import LinearSpec
from layerkit.layers.max_pool2d import MaxPool2dSpec
from layerkit.layers.nearest_upsampling import NearestUpsamplingSpec
from layerkit.layers.pixel_shuffle import PixelShuffleSpec
from layerkit.layers.relu import ReLUSpec
from layerkit.layers.repeat import RepeatSpec
from layerkit.layers.residual import ResidualSpec
from layerkit.layers.sequential import SequentialSpec
from layerkit.layers.sigmoid import SigmoidSpec
from layerkit.layers.skip import SkipSpec
from layerkit.layers.transposed_conv2d import TransposedConv2dSpec
from layerkit.layers.upsampling import UpsamplingSpec
from layerkit.losses.annealed_l0 import AnnealedL0Spec
from layerkit.losses.huber import HuberSpec
from layerkit.losses.l1 import L1Spec
from layerkit.losses.masked import MaskedSpec
from layerkit.losses.mse import MSESpec
from layerkit.noises.bernoulli import BernoulliSpec
from layerkit.noises.gaussian import GaussianSpec
from layerkit.noises.impulse import ImpulseSpec
from layerkit.noises.pixelate import PixelateSpec
from layerkit.noises.poisson import PoissonSpec
from layerkit.noises.text import TextSpec
from layerkit.optimizers.sgd import SGDSpec
from layerkit.schedules.cosine import CosineSpec
from layerkit.schedules.linear import LinearSpec as LinearScheduleSpec
from layerkit.schedules.steps import StepsSpec


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
