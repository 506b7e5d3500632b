"""Components that are right, written as a stranger might: nothing may be found in any of them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from zoo_bounds import BetweenConstants, InSteps
from zoo_building import Bent, Centred, Convolved, Dropped, Enlarged, Layer, Rectified, Scaled
from zoo_draws import Picking
from zoo_losses import Squared
from zoo_noises import Additive
from zoo_optimizers import Plain, WithMomentum
from zoo_resuming import Averaging
from zoo_schedules import ByThePower, Falling

from layerkit.contracts.specs import Shape


class CausalShift(Layer):
    """y[..., j] = x[..., j - 1], and 0 in the first column: nothing flows from right to left."""

    def forward(self, x: Tensor) -> Tensor:
        y = torch.zeros_like(x)
        y[..., 1:] = x[..., :-1]
        return y

    def backward(self, grad_output: Tensor) -> Tensor:
        grad = torch.zeros_like(grad_output)
        grad[..., :-1] = grad_output[..., 1:]
        return grad


class CentredOverProcesses(Centred):
    """Takes away the mean over the batch of all processes."""

    spans_processes = True

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x - self.running
        mean = self._mean(x)
        if self.whole_batch(len(x)):
            self.running.lerp_(mean.mean(), 0.1)
        return x - mean

    def backward(self, grad_output: Tensor) -> Tensor:
        return grad_output - self._mean(grad_output)

    def _mean(self, x: Tensor) -> Tensor:
        return self.over_batch(x.sum(0, keepdim=True)) / max(self.whole_batch(len(x)), 1)


class ChannelScale(Layer):
    """y = scale[c] x[c]; it keeps its input under an attribute, and says nothing about shapes."""

    ranks = (1, 2, 3, 4)

    def prepare(self, generator: torch.Generator) -> None:
        self.add_parameter("scale", torch.ones(self.channels))

    def forward(self, x: Tensor) -> Tensor:
        self.save(x)
        return x * self.scale.view(-1, *(1,) * (x.dim() - 2))

    def backward(self, grad_output: Tensor) -> Tensor:
        (x,) = self.saved()
        self.scale_grad += (x * grad_output).transpose(0, 1).reshape(self.channels, -1).sum(1)
        return grad_output * self.scale.view(-1, *(1,) * (grad_output.dim() - 2))


class TwoWeightsOfOneShape(Layer):
    """y = a x + b tanh(x), with a and b for each channel."""

    def prepare(self, generator: torch.Generator) -> None:
        for name in ("a", "b"):
            self.add_parameter(name, torch.randn(self.channels, 1, 1, generator=generator))

    def forward(self, x: Tensor) -> Tensor:
        bent = x.tanh()
        self.save(x, bent)
        return self.a * x + self.b * bent

    def backward(self, grad_output: Tensor) -> Tensor:
        x, bent = self.saved()
        self.a_grad.add_((grad_output * x).sum((0, 2, 3)).view(-1, 1, 1))
        self.b_grad.add_((grad_output * bent).sum((0, 2, 3)).view(-1, 1, 1))
        return grad_output * (self.a + self.b * (1 - bent * bent))


class Noisy(Layer):
    """Adds normal numbers in training, and hands gradient and, in evaluation, input through as they are."""

    ranks = (1, 2, 3)
    stochastic = modal = True

    def prepare(self, generator: torch.Generator) -> None:
        self.generator = generator

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        return x + 0.1 * torch.randn(x.shape, generator=self.generator, dtype=x.dtype)

    def backward(self, grad_output: Tensor) -> Tensor:
        return grad_output


class Flat(Layer):
    """Every sample as one row: a view of another shape."""

    ranks = (1, 2, 3)

    @classmethod
    def output_shape_of(cls, shape: Shape, **options: Any) -> Shape:
        return (torch.Size(shape).numel(),)

    def forward(self, x: Tensor) -> Tensor:
        self.shape = x.shape
        return x.reshape(len(x), self.output_shape_of(tuple(x.shape[1:]))[0])

    def backward(self, grad_output: Tensor) -> Tensor:
        return grad_output.reshape(self.shape)


class ChannelMeans(Layer):
    """(C, H, W) to (C,): the means of the channels."""

    @classmethod
    def output_shape_of(cls, shape: Shape, **options: Any) -> Shape:
        return shape[:1]

    def forward(self, x: Tensor) -> Tensor:
        self.size = x.shape[2:]
        return x.mean((2, 3))

    def backward(self, grad_output: Tensor) -> Tensor:
        grad = grad_output / self.size.numel()
        return grad[:, :, None, None].expand(*grad.shape, *self.size)


class Copied(Layer):
    """The identity, as a copy."""

    ranks = (1, 2, 3)

    def forward(self, x: Tensor) -> Tensor:
        return x.clone()

    def backward(self, grad_output: Tensor) -> Tensor:
        return grad_output.clone()


class Composite(Layer):
    """A convolution, a rectifier and a scale, one inside the other."""

    kinked = True
    fields = Convolved.fields
    output_shape_of = Convolved.output_shape_of

    def prepare(self, generator: torch.Generator) -> None:
        self.convolution = Convolved(self.channels, generator, **self.options)
        self.rectifier = Rectified(2, generator)
        self.scale = Scaled(2, generator)

    def forward(self, x: Tensor) -> Tensor:
        return self.scale(self.rectifier(self.convolution(x)))

    def backward(self, grad_output: Tensor) -> Tensor:
        return self.convolution.backward(self.rectifier.backward(self.scale.backward(grad_output)))


class Smoothed(Layer):
    """y = x plus a tenth of a running mean of all it has seen in training, by which it is stateful."""

    def prepare(self, generator: torch.Generator) -> None:
        self.add_buffer("mean", torch.zeros(self.channels))
        self.add_buffer("seen", torch.zeros((), dtype=torch.int64))

    def forward(self, x: Tensor) -> Tensor:
        y = x + 0.1 * self.mean[:, None, None]
        if self.training and len(x):
            self.seen += 1
            self.mean.lerp_(x.mean((0, 2, 3)), 0.25)
        return y

    def backward(self, grad_output: Tensor) -> Tensor:
        return grad_output.clone()


CORRECT_LAYERS = (
    Bent,
    Rectified,
    Scaled,
    Enlarged,
    Convolved,
    Dropped,
    Centred,
    CentredOverProcesses,
    CausalShift,
    ChannelScale,
    TwoWeightsOfOneShape,
    Noisy,
    Flat,
    ChannelMeans,
    Copied,
    Composite,
    Smoothed,
    Averaging,
)
CORRECT_OTHERS = (Squared, Plain, WithMomentum, Additive, Picking, Falling, ByThePower, InSteps, BetweenConstants)
