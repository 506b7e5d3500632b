"""The components that come with layerkit, registered through the same hooks as a stranger's."""

from __future__ import annotations

from layerkit.component import LayerSpec, LossSpec, NoiseSpec, OptimizerSpec
from layerkit.hookspecs import hookimpl
from layerkit.layers.conv2d import Conv2dSpec
from layerkit.layers.nearest_upsampling import NearestUpsamplingSpec
from layerkit.layers.relu import ReLUSpec
from layerkit.layers.sequential import SequentialSpec
from layerkit.layers.sigmoid import SigmoidSpec
from layerkit.layers.upsampling import UpsamplingSpec
from layerkit.losses.mse import MSESpec
from layerkit.noises.gaussian import GaussianSpec
from layerkit.noises.pixelate import PixelateSpec
from layerkit.optimizers.sgd import SGDSpec


@hookimpl
def layerkit_layers() -> list[type[LayerSpec]]:
    return [Conv2dSpec, NearestUpsamplingSpec, ReLUSpec, SequentialSpec, SigmoidSpec, UpsamplingSpec]


@hookimpl
def layerkit_losses() -> list[type[LossSpec]]:
    return [MSESpec]


@hookimpl
def layerkit_optimizers() -> list[type[OptimizerSpec]]:
    return [SGDSpec]


@hookimpl
def layerkit_noises() -> list[type[NoiseSpec]]:
    return [GaussianSpec, PixelateSpec]
