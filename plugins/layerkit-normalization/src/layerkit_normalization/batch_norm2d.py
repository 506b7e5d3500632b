"""Batch normalization of pictures.

Forward in training mode, for an input x (N, C, H, W), with mean and var (divided by M = N H W) of each channel over the
batch:

    y = weight (x - mean) / sqrt(var + eps) + bias

The running statistics, which replace mean and var in evaluation mode, move towards those of the batch:
running <- (1 - momentum) running + momentum batch, where the variance is the unbiased one, M / (M - 1) var.

Backward, with z = (x - mean) / sqrt(var + eps), all sums over the batch of one channel:

    bias_grad += sum of grad_output        weight_grad += sum of grad_output z
    grad_x = weight / sqrt(var + eps) (grad_output - sum of grad_output / M - z (sum of grad_output z) / M)

(Ioffe and Szegedy 2015, "Batch normalization", algorithm 1 and the formulas of section 3.)

Where several processes share the batch, N counts the samples of all of them, and the sums are taken over all. Those in
bias_grad and weight_grad alone stay each process's own, since the trainer adds up the gradients of parameters.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
from layerkit import Channels, FloatDtype, LayerSpec, Module, Shape, ShapeError
from pydantic import Field
from torch import Tensor


class BatchNorm2dSpec(LayerSpec):
    """Batch normalization: y = weight (x - mean) / sqrt(var + eps) + bias, by channel; running statistics later."""

    mixes_batch = True
    modal = True
    example: ClassVar[dict[str, Any]] = {"momentum": 0.1}

    type: Literal["batch_norm2d"] = Field(description="The name of the layer.")
    eps: float = Field(default=1e-5, ge=1e-12, le=1, description="Added to the variance, so that it is never zero.")
    momentum: float = Field(default=0.1, ge=0, le=1, description="How far running statistics move in one step.")
    affine: bool = Field(default=True, description="Whether each channel learns a scale and a shift.")

    def output_shape(self, input_shape: Shape) -> Shape:
        if len(input_shape) != 3:
            raise ShapeError(f"batch_norm2d takes pictures (channels, height, width), not samples of {input_shape}")
        _, height, width = input_shape
        _check_more_than_one_pixel(height, width)
        return input_shape

    def parameter_count(self, input_shape: Shape) -> int:
        return 2 * input_shape[0] * self.affine

    def multiply_adds(self, input_shape: Shape) -> int:
        channels, height, width = input_shape
        return channels * height * width

    def build(self, input_shape: Shape, generator: torch.Generator) -> BatchNorm2d:
        return BatchNorm2d(input_shape[0], self.eps, self.momentum, self.affine)

    def reference(self, input_shape: Shape) -> tuple[str, dict[str, Any]]:
        return "BatchNorm2d", {"num_features": input_shape[0]} | self.model_dump(exclude={"type"})


class BatchNorm2d(Module):
    """Batch normalization of pictures, with the arguments of its torch namesake.

    Args:
        num_features: channels of the input.
        eps: added to the variance.
        momentum: how far running statistics move in one step.
        affine: whether each channel learns a scale and a shift.
        dtype, device: the dtype and device of parameters and statistics; torch's defaults when None.

    Attributes:
        weight, bias: (num_features,), ones and zeros at first; None without ``affine``.
        running_mean, running_var: (num_features,), zeros and ones at first.
    """

    mixes_batch = True
    spans_processes = True

    weight: Tensor | None
    weight_grad: Tensor
    bias: Tensor | None
    bias_grad: Tensor
    running_mean: Tensor
    running_var: Tensor

    def __init__(
        self,
        num_features: Channels,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = True,
        *,
        dtype: FloatDtype | None = None,
        device: torch.device | str | None = None,
    ) -> None:
        super().__init__()
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        ones = torch.ones(num_features, dtype=dtype, device=device)
        self.weight = self.bias = None
        if affine:
            self.add_parameter("weight", ones.clone())
            self.add_parameter("bias", torch.zeros_like(ones))
        self.add_buffer("running_mean", torch.zeros_like(ones))
        self.add_buffer("running_var", ones)

    def forward(self, x: Tensor) -> Tensor:
        """Return a tensor of the shape of ``x``, (N, num_features, H, W).

        Raises:
            ShapeError: when x has another number of dimensions or channels, or a single pixel.
        """
        if x.dim() != 4 or x.shape[1] != self.num_features:
            raise ShapeError(f"BatchNorm2d: expected an input of (N, {self.num_features}, H, W), not {tuple(x.shape)}")
        _check_more_than_one_pixel(x.shape[2], x.shape[3])
        rows = _rows(x)
        if not self.training:
            scale = self._scaled((self.running_var + self.eps).rsqrt())
            return _pictures(torch.addcmul(self._shift() - self.running_mean * scale, rows, scale), x)
        count = self.whole_batch(len(x)) * x.shape[2] * x.shape[3]
        mean = self.over_batch(rows.sum(0)) / max(count, 1)
        centred = rows - mean
        squares = centred.square()
        var = self.over_batch(squares.sum(0)) / max(count, 1)
        if count:
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(var * (count / (count - 1)), self.momentum)
        inverse = (var + self.eps).rsqrt_()
        scale = self._scaled(inverse)
        self.save(centred, inverse, scale, count)
        return _pictures(torch.addcmul(self._shift(), centred, scale, out=squares), x)

    def backward(self, grad_output: Tensor) -> Tensor:
        """Add to ``weight_grad`` and ``bias_grad``; return the gradient with respect to ``x``."""
        centred, inverse, scale, count = self.saved()
        grad = _rows(grad_output)
        products = grad * centred
        sums, product_sums = grad.sum(0), products.sum(0) * inverse
        if self.weight is not None:
            self.weight_grad.add_(product_sums)
            self.bias_grad.add_(sums)
        sums, product_sums = self.over_batch(torch.stack((sums, product_sums)))
        factor = scale / max(count, 1)
        torch.addcmul(-factor * sums, centred, -factor * product_sums * inverse, out=products)
        return _pictures(products.addcmul_(grad, scale), grad_output)

    def _scaled(self, inverse: Tensor) -> Tensor:
        return inverse if self.weight is None else self.weight * inverse

    def _shift(self) -> Tensor:
        return torch.zeros_like(self.running_mean) if self.bias is None else self.bias


def _check_more_than_one_pixel(height: int, width: int) -> None:
    if height * width == 1:
        raise ShapeError(
            "batch normalization needs pictures of more than one pixel, since one pixel of one sample has no variance; "
            "put it before the layer that leaves one pixel, or use group_norm"
        )


def _rows(x: Tensor) -> Tensor:
    """Return (N, C, H, W) as a matrix (N * H * W, C), a view where the channels are last in memory."""
    return x.permute(0, 2, 3, 1).reshape(x.shape[0] * x.shape[2] * x.shape[3], x.shape[1])


def _pictures(rows: Tensor, like: Tensor) -> Tensor:
    """Return a matrix of :func:`_rows` in the shape of ``like``, a view."""
    n, channels, height, width = like.shape
    return rows.view(n, height, width, channels).permute(0, 3, 1, 2)
