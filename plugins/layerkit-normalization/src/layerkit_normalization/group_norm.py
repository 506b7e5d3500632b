"""Group normalization.

Forward, for an input x (N, C, H, W) whose channels form G groups, with the mean and var of each sample and group over
its M = C / G * H * W values:

    y = weight (x - mean) / sqrt(var + eps) + bias, with a weight and a bias for each channel.

Backward, with z = (x - mean) / sqrt(var + eps) and g = weight grad_output. The sums of the parameters' gradients are
over the batch and the pixels of one channel, the others over one sample's group:

    bias_grad += sum of grad_output        weight_grad += sum of grad_output z
    grad_x = (g - sum of g / M - z (sum of g z) / M) / sqrt(var + eps)

(Wu and He 2018, "Group normalization", equations 1, 2 and 7.) Sums are computed over the pixels of each channel first,
and then over the channels of a group, which is little work.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
from layerkit import Channels, FloatDtype, LayerSpec, Module, Shape, ShapeError
from pydantic import Field
from torch import Tensor


class GroupNormSpec(LayerSpec):
    """Group normalization: y = weight (x - mean) / sqrt(var + eps) + bias, by sample and group of channels."""

    example: ClassVar[dict[str, Any]] = {"num_groups": 1}

    type: Literal["group_norm"] = Field(description="The name of the layer.")
    num_groups: int = Field(ge=1, le=65_536, description="Number of groups; it divides the number of channels.")
    eps: float = Field(default=1e-5, ge=1e-12, le=1, description="Added to the variance, so that it is never zero.")
    affine: bool = Field(default=True, description="Whether each channel learns a scale and a shift.")

    def output_shape(self, input_shape: Shape) -> Shape:
        if len(input_shape) != 3:
            raise ShapeError(f"group_norm takes pictures (channels, height, width), not samples of {input_shape}")
        channels, height, width = input_shape
        _check_groups(self.num_groups, channels)
        _check_more_than_one_value(channels // self.num_groups * height * width)
        return input_shape

    def parameter_count(self, input_shape: Shape) -> int:
        return 2 * input_shape[0] * self.affine

    def multiply_adds(self, input_shape: Shape) -> int:
        channels, height, width = input_shape
        return channels * height * width

    def build(self, input_shape: Shape, generator: torch.Generator) -> GroupNorm:
        return GroupNorm(self.num_groups, input_shape[0], self.eps, self.affine)

    def reference(self, input_shape: Shape) -> tuple[str, dict[str, Any]]:
        return "GroupNorm", {"num_channels": input_shape[0]} | self.model_dump(exclude={"type"})


class GroupNorm(Module):
    """Group normalization of pictures, with the arguments of its torch namesake.

    Args:
        num_groups: groups that the channels form.
        num_channels: channels of the input.
        eps: added to the variance.
        affine: whether each channel learns a scale and a shift.
        dtype, device: the dtype and device of the parameters; torch's defaults when None.

    Attributes:
        weight, bias: (num_channels,), ones and zeros at first; None without ``affine``.
    """

    weight: Tensor | None
    weight_grad: Tensor
    bias: Tensor | None
    bias_grad: Tensor

    def __init__(
        self,
        num_groups: int,
        num_channels: Channels,
        eps: float = 1e-5,
        affine: bool = True,
        *,
        dtype: FloatDtype | None = None,
        device: torch.device | str | None = None,
    ) -> None:
        super().__init__()
        _check_groups(num_groups, num_channels)
        self.num_groups, self.num_channels, self.eps = num_groups, num_channels, eps
        self.weight = self.bias = None
        if affine:
            self.add_parameter("weight", torch.ones(num_channels, dtype=dtype, device=device))
            self.add_parameter("bias", torch.zeros(num_channels, dtype=dtype, device=device))

    def forward(self, x: Tensor) -> Tensor:
        """Return a tensor of the shape of ``x``, (N, num_channels, H, W).

        Raises:
            ShapeError: when x has another number of dimensions or channels, or groups of one value.
        """
        if x.dim() != 4 or x.shape[1] != self.num_channels:
            raise ShapeError(f"GroupNorm: expected an input of (N, {self.num_channels}, H, W), not {tuple(x.shape)}")
        _check_more_than_one_value(x.shape[1:].numel() // self.num_groups)
        pixels = _pixels(x)
        centred = pixels - self._group_means(pixels.sum(1), pixels.shape[1])
        squares = centred.square()
        inverse = (self._group_means(squares.sum(1), pixels.shape[1]) + self.eps).rsqrt_()
        scale = inverse if self.weight is None else self.weight * inverse
        self.save(centred, inverse, scale)
        if self.bias is None:
            return _pictures(torch.mul(centred, scale, out=squares), x)
        return _pictures(torch.addcmul(self.bias, centred, scale, out=squares), x)

    def backward(self, grad_output: Tensor) -> Tensor:
        """Add to ``weight_grad`` and ``bias_grad``; return the gradient with respect to ``x``."""
        centred, inverse, scale = self.saved()
        grad = _pixels(grad_output)
        products = grad * centred
        sums, product_sums = grad.sum(1), products.sum(1) * inverse[:, 0]
        if self.weight is not None:
            self.weight_grad.add_(product_sums.sum(0))
            self.bias_grad.add_(sums.sum(0))
            sums, product_sums = sums * self.weight, product_sums * self.weight
        mean, product_mean = (self._group_means(each, grad.shape[1]) for each in (sums, product_sums))
        torch.addcmul(-mean * inverse, centred, -product_mean * inverse.square(), out=products)
        return _pictures(products.addcmul_(grad, scale), grad_output)

    def _group_means(self, sums: Tensor, pixels: int) -> Tensor:
        """Return (N, 1, C), the mean over each channel's group, from the sums (N, C) over ``pixels`` pixels."""
        members = self.num_channels // self.num_groups
        means = sums.view(len(sums), self.num_groups, members).sum(2) / (members * pixels)
        return means.repeat_interleave(members, 1)[:, None]


def _check_groups(num_groups: int, channels: int) -> None:
    if channels % num_groups:
        fitting = max(size for size in range(1, num_groups) if channels % size == 0)
        raise ShapeError(
            f"num_groups {num_groups} does not divide {channels} channels; use {fitting}, or another number of channels"
        )


def _check_more_than_one_value(values: int) -> None:
    if values == 1:
        raise ShapeError("a group of one value is always normalized to zero; use fewer groups")


def _pixels(x: Tensor) -> Tensor:
    """Return (N, C, H, W) as (N, H * W, C), a view where the channels are last in memory."""
    return x.permute(0, 2, 3, 1).reshape(x.shape[0], x.shape[2] * x.shape[3], x.shape[1])


def _pictures(pixels: Tensor, like: Tensor) -> Tensor:
    """Return pixels of :func:`_pixels` in the shape of ``like``, a view."""
    n, channels, height, width = like.shape
    return pixels.view(n, height, width, channels).permute(0, 3, 1, 2)
