"""The layers that come with layerkit, one per file, with its formula, its spec and its module.

Importing a file's classes here registers and publishes them: see :mod:`layerkit.builtin`.
"""

from layerkit.builtin.layers.avg_pool2d import AvgPool2d as AvgPool2d, AvgPool2dSpec as AvgPool2dSpec
from layerkit.builtin.layers.conv2d import Conv2d as Conv2d, Conv2dSpec as Conv2dSpec
from layerkit.builtin.layers.dct import Dct as Dct, DctSpec as DctSpec
from layerkit.builtin.layers.flatten import Flatten as Flatten, FlattenSpec as FlattenSpec
from layerkit.builtin.layers.linear import Linear as Linear, LinearSpec as LinearSpec
from layerkit.builtin.layers.max_pool2d import MaxPool2d as MaxPool2d, MaxPool2dSpec as MaxPool2dSpec
from layerkit.builtin.layers.nearest_upsampling import (
    NearestUpsampling as NearestUpsampling,
    NearestUpsamplingSpec as NearestUpsamplingSpec,
)
from layerkit.builtin.layers.pixel_shuffle import PixelShuffle as PixelShuffle, PixelShuffleSpec as PixelShuffleSpec
from layerkit.builtin.layers.relu import ReLU as ReLU, ReLUSpec as ReLUSpec
from layerkit.builtin.layers.repeat import Repeat as Repeat, RepeatSpec as RepeatSpec
from layerkit.builtin.layers.residual import Residual as Residual, ResidualSpec as ResidualSpec
from layerkit.builtin.layers.sequential import Sequential as Sequential, SequentialSpec as SequentialSpec
from layerkit.builtin.layers.shrinkage import Shrinkage as Shrinkage, ShrinkageSpec as ShrinkageSpec
from layerkit.builtin.layers.sigmoid import Sigmoid as Sigmoid, SigmoidSpec as SigmoidSpec
from layerkit.builtin.layers.skip import Skip as Skip, SkipSpec as SkipSpec
from layerkit.builtin.layers.transposed_conv2d import (
    TransposedConv2d as TransposedConv2d,
    TransposedConv2dSpec as TransposedConv2dSpec,
)
from layerkit.builtin.layers.upsampling import Upsampling as Upsampling, UpsamplingSpec as UpsamplingSpec
