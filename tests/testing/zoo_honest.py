"""Components that are right and strange: each was, or would be, accused by a check that did not look closely enough.

``cleared_of`` is that check. There are at least two of every kind of strangeness.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor
from zoo_building import Bent, Layer, Loss_, Noise_, Optimizer_
from zoo_optimizers import WithMomentum
from zoo_registration import Keeps

from layerkit.contracts.loss import Loss
from layerkit.contracts.module import Module
from layerkit.contracts.noise import Noise
from layerkit.contracts.optimizer import Optimizer
from layerkit.contracts.specs import Shape
from layerkit.errors import ShapeError

# At a tie of sorted values a derivative from one side is not the end of what lies between


class Sorted(Layer):
    """All values of a sample, the largest first."""

    cleared_of = "kink_convention"
    ranks = (1, 2, 3)
    kinked = True

    @classmethod
    def output_shape_of(cls, shape: Shape, **options: Any) -> Shape:
        return (math.prod(shape),)

    def forward(self, x: Tensor) -> Tensor:
        y, places = x.flatten(1).sort(1, descending=True)
        self.save(places, x.shape)
        return y

    def backward(self, grad_output: Tensor) -> Tensor:
        places, shape = self.saved()
        return torch.zeros_like(grad_output).scatter_(1, places, grad_output).reshape(shape)


class Median(Layer):
    """The median of the rows of each channel."""

    cleared_of = "kink_convention"
    ranks = (2, 3)
    kinked = True

    @classmethod
    def output_shape_of(cls, shape: Shape, **options: Any) -> Shape:
        return shape[:-1]

    def forward(self, x: Tensor) -> Tensor:
        y, places = x.median(-1)
        self.save(places, x.shape)
        return y

    def backward(self, grad_output: Tensor) -> Tensor:
        places, shape = self.saved()
        grad = grad_output.new_zeros(shape)
        return grad.scatter_(-1, places.unsqueeze(-1), grad_output.unsqueeze(-1))


class Clamped(Layer):
    """y = x between -1 and 1: bent upwards at one end and downwards at the other, which together are neither."""

    cleared_of = "kink_convention"
    ranks = (1, 2, 3)
    kinked = True

    def forward(self, x: Tensor) -> Tensor:
        self.save(x.abs() < 1)
        return x.clamp(-1, 1)

    def backward(self, grad_output: Tensor) -> Tensor:
        (inside,) = self.saved()
        return grad_output * inside


# Events that are rare


class SparselySampled(Noise_, Noise):
    """One pixel of a hundred, a hundred times as bright; the others are black."""

    cleared_of = "undeclared_bias"

    def draw(self, source: Tensor, generator: torch.Generator) -> Tensor:
        return (
            100
            * source
            * (torch.rand(source.shape, generator=generator, dtype=source.dtype, device=source.device) < 0.01)
        )


class DarkPictures(Noise_, Noise):
    """One picture of ten is black, and the others are brighter for it."""

    cleared_of = "draws_are_independent"

    def draw(self, source: Tensor, generator: torch.Generator) -> Tensor:
        kept = torch.rand((len(source), 1, 1, 1), generator=generator, dtype=source.dtype, device=source.device) < 0.9
        return source * kept / 0.9


class CosmicRays(Noise_, Noise):
    """In one picture of fifty one row is brighter by 5; of what that adds on average, all are darker."""

    cleared_of = "undeclared_bias"

    def draw(self, source: Tensor, generator: torch.Generator) -> Tensor:
        count, _, height, _ = source.shape
        hit = torch.rand((count, 1), generator=generator, dtype=source.dtype, device=source.device) < 0.02
        rows = torch.arange(height, device=source.device)
        hit = hit & (torch.randint(0, height, (count, 1), generator=generator, device=source.device) == rows)
        return source + 5.0 * hit[:, None, :, None].to(source.dtype) - 5.0 * 0.02 / height


# Fields that JSON has lists for


class NestedTuples(Keeps):
    """A field is a tuple of tuples."""

    cleared_of = "json_round_trips"
    example: ClassVar[dict[str, Any]] = {"table": ((1.0, 2.0), (3.0, 4.0))}
    type: Literal["nested_tuples"] = Field(description="The name.")
    table: tuple[tuple[float, float], ...] = Field(default=((1.0, 2.0),), max_length=3, description="Rows.")


class PlainTuple(Keeps):
    """A field is a tuple, and has no default."""

    cleared_of = "json_round_trips"
    type: Literal["plain_tuple"] = Field(description="The name.")
    sides: tuple[int, int] = Field(description="Two numbers.")
    taps: tuple[float, ...] = Field(min_length=1, max_length=3, description="Some numbers.")


# Modes that differ once something was learned


class ShiftedInEvaluation(Layer):
    """Evaluation takes away the running mean of what training has seen; it begins at 0."""

    cleared_of = "declared_modes"
    modal = True

    def prepare(self, generator: torch.Generator) -> None:
        self.add_buffer("mean", torch.zeros(self.channels))

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x - self.mean[:, None, None]
        if len(x):
            self.mean.lerp_(x.mean((0, 2, 3)), 0.1)
        return x.clone()

    def backward(self, grad_output: Tensor) -> Tensor:
        return grad_output.clone()


class AveragedInEvaluation(Layer):
    """y = scale x; evaluation uses the mean of the scales that training has had."""

    cleared_of = "declared_modes"
    modal = True

    def prepare(self, generator: torch.Generator) -> None:
        self.add_parameter("scale", torch.ones(self.channels))
        self.add_buffer("total", torch.zeros(self.channels))
        self.add_buffer("seen", torch.zeros((), dtype=torch.int64))

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x * (self.total / self.seen if self.seen else self.scale)[:, None, None]
        self.save(x)
        self.seen += 1
        self.total += self.scale
        return x * self.scale[:, None, None]

    def backward(self, grad_output: Tensor) -> Tensor:
        (x,) = self.saved()
        self.scale_grad += (x * grad_output).sum((0, 2, 3))
        return grad_output * self.scale[:, None, None]


# Smooth, though the bend is narrow


class NearlyAbsolute(Layer):
    """y = sqrt(x^2 + 1e-12)."""

    cleared_of = "undeclared_kinks"
    ranks = (1, 2, 3)

    def forward(self, x: Tensor) -> Tensor:
        y = (x * x + 1e-12).sqrt()
        self.save(x, y.clone())
        return y

    def backward(self, grad_output: Tensor) -> Tensor:
        x, y = self.saved()
        return grad_output * x / y


class NarrowCharbonnier(Loss_, Loss):
    """The mean of sqrt(d^2 + 1e-12)."""

    cleared_of = "undeclared_loss_kinks"

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        self.same_shape(prediction, target)
        difference = prediction - target
        root = (difference.square() + 1e-12).sqrt()
        self.save(difference, root)
        return root.sum() / max(root.numel(), 1)

    def backward(self) -> Tensor:
        difference, root = self.saved()
        return difference / root / max(root.numel(), 1)


# Small differences of large numbers


class ExpandedSquare(Loss_, Loss):
    """The squared error as a^2 - 2 a b + b^2, of values that are counted from -50."""

    cleared_of = "loss_is_one_number"

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        self.same_shape(prediction, target)
        a, b = prediction + 50, target + 50
        self.save(a, b)
        return (a * a - 2 * a * b + b * b).sum() / max(a.numel(), 1)

    def backward(self) -> Tensor:
        a, b = self.saved()
        return 2 * (a - b) / max(a.numel(), 1)


class RoundBottom(Loss_, Loss):
    """The mean of sqrt(d^2 + 75^2) - 75, of which float32 has three digits left."""

    cleared_of = "loss_is_one_number"

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        self.same_shape(prediction, target)
        difference = prediction - target
        root = (difference.square() + 75.0**2).sqrt()
        self.save(difference, root)
        return (root - 75).sum() / max(root.numel(), 1)

    def backward(self) -> Tensor:
        difference, root = self.saved()
        return difference / root / max(root.numel(), 1)


class SpreadsCompared(Loss_, Loss):
    """The squared difference of the variances of each sample, as means of squares without squares of means."""

    cleared_of = "loss_is_one_number"
    elementwise = False

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        self.same_shape(prediction, target)
        if not prediction.numel():
            self.save(prediction, prediction)
            return prediction.sum()
        difference = self.variance(prediction) - self.variance(target)
        self.save(prediction, difference)
        return difference.square().mean()

    def variance(self, values: Tensor) -> Tensor:
        """Return (N, 1): the variance of each sample, by the formula that loses digits."""
        values = values.flatten(1) + 20
        return values.square().mean(1, keepdim=True) - values.mean(1, keepdim=True).square()

    def backward(self) -> Tensor:
        prediction, difference = self.saved()
        centred = prediction.flatten(1)
        if not centred.numel():
            return torch.zeros_like(prediction)
        centred = centred - centred.mean(1, keepdim=True)
        return (4 * difference * centred / centred.numel()).reshape(prediction.shape)


# Sizes, and fields, that go together


class Sixteenths(Layer):
    """The means of blocks of 16x16."""

    cleared_of = "cases_can_be_drawn"

    @classmethod
    def output_shape_of(cls, shape: Shape, **options: Any) -> Shape:
        if shape[1] % 16 or shape[2] % 16:
            raise ShapeError(f"height and width must be multiples of 16, not {shape[1]} and {shape[2]}")
        return shape[0], shape[1] // 16, shape[2] // 16

    def forward(self, x: Tensor) -> Tensor:
        self.output_shape_of(tuple(x.shape[1:]))
        return x.unflatten(3, (-1, 16)).unflatten(2, (-1, 16)).mean((3, 5))

    def backward(self, grad_output: Tensor) -> Tensor:
        return grad_output.repeat_interleave(16, 2).repeat_interleave(16, 3) / 256


class Placed(Layer):
    """y = x + table, with a number for each of 2 x 20 x 12 places."""

    cleared_of = "cases_can_be_drawn"

    @classmethod
    def output_shape_of(cls, shape: Shape, **options: Any) -> Shape:
        if shape != (2, 20, 12):
            raise ShapeError(f"expected a sample of (2, 20, 12), not {shape}")
        return shape

    def prepare(self, generator: torch.Generator) -> None:
        self.add_parameter("table", torch.zeros(2, 20, 12))

    def forward(self, x: Tensor) -> Tensor:
        self.output_shape_of(tuple(x.shape[1:]))
        return x + self.table

    def backward(self, grad_output: Tensor) -> Tensor:
        self.table_grad += grad_output.sum(0)
        return grad_output.clone()


class Tagged(Keeps):
    """A field has a pattern, of which a schema does not say what fits; the example does."""

    cleared_of = "cases_can_be_drawn"
    example: ClassVar[dict[str, Any]] = {"tag": "a-7"}
    type: Literal["tagged"] = Field(description="The name.")
    tag: str = Field(pattern="^[a-z]-[0-9]$", description="A letter and a digit.")
    strength: int = Field(default=1, ge=1, le=9, description="A number.")


class InHeads(Keeps):
    """One field must be a multiple of another, and large."""

    cleared_of = "cases_can_be_drawn"
    example: ClassVar[dict[str, Any]] = {"width": 48, "heads": 4}
    type: Literal["in_heads"] = Field(description="The name.")
    width: int = Field(ge=1, le=512, description="A number.")
    heads: int = Field(ge=1, le=8, description="A number that divides it.")

    @model_validator(mode="after")
    def together(self) -> Self:
        if self.width % self.heads or self.width < 32:
            raise ValueError("width must be a multiple of heads, and at least 32")
        return self

    def build(self, input_shape: Shape, generator: torch.Generator) -> Module:
        return Bent(input_shape[0], generator)


# Otherwise than others on purpose, and declared with a reason


class Rounded(Layer):
    """y = x rounded to quarters; the gradient goes straight through (Bengio et al. 2013)."""

    cleared_of = "input_gradient"
    ranks = (1, 2, 3)
    spec_members: ClassVar[dict[str, Any]] = {"surrogate": "rounding has no slope, so the gradient goes past it"}

    def forward(self, x: Tensor) -> Tensor:
        return (4 * x).round() / 4

    def surrogate(self, x: Tensor) -> Tensor:
        return x

    def backward(self, grad_output: Tensor) -> Tensor:
        return grad_output


class Signs(Layer):
    """y = scale sign(x), with a scale for each channel; the gradient goes through between -1 and 1."""

    cleared_of = "parameter_gradients"
    kinked = True
    spec_members: ClassVar[dict[str, Any]] = {"surrogate": "a sign has no slope; the gradient is that of a clamp"}

    def prepare(self, generator: torch.Generator) -> None:
        self.add_parameter("scale", torch.ones(self.channels))

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.save(x)
            self.signs, self.then = x.sign(), self.scale.clone()
        return x.sign() * self.scale[:, None, None]

    def surrogate(self, x: Tensor) -> Tensor:
        # The scale learns by the sign as it was, and what comes before it by the clamp, with the scale as it was.
        return self.signs * self.scale[:, None, None] + self.then[:, None, None] * x.clamp(-1, 1)

    def backward(self, grad_output: Tensor) -> Tensor:
        (x,) = self.saved()
        self.scale_grad += (grad_output * x.sign()).sum((0, 2, 3))
        return grad_output * (x.abs() < 1) * self.scale[:, None, None]


class Reversed(Layer):
    """The identity, whose gradient is turned around (Ganin and Lempitsky 2015)."""

    cleared_of = "input_gradient"
    ranks = (1, 2, 3)
    spec_members: ClassVar[dict[str, Any]] = {"surrogate": "what comes before is to learn the opposite"}

    def forward(self, x: Tensor) -> Tensor:
        return x.clone()

    def surrogate(self, x: Tensor) -> Tensor:
        return -x / 2

    def backward(self, grad_output: Tensor) -> Tensor:
        return -grad_output / 2


class SpectrallyScaled(Layer):
    """y = W x / sigma, with sigma the largest singular value of W by one step of power iteration, held constant."""

    cleared_of = "parameter_gradients"
    ranks = (1,)
    spec_members: ClassVar[dict[str, Any]] = {"surrogate": "the estimate of the norm is taken for constant"}

    @classmethod
    def output_shape_of(cls, shape: Shape, **options: Any) -> Shape:
        return (3,)

    def prepare(self, generator: torch.Generator) -> None:
        self.add_parameter("weight", torch.randn(3, self.channels, generator=generator))
        self.add_buffer("left", torch.ones(3) / 3**0.5)

    def forward(self, x: Tensor) -> Tensor:
        right = self.weight.t() @ self.left
        image = self.weight @ (right / right.norm())
        sigma = image.norm()
        if self.training:
            self.sigma = sigma
            self.left.copy_(image / sigma)
            self.save(x, sigma)
        return x @ self.weight.t() / sigma

    def surrogate(self, x: Tensor) -> Tensor:
        return x @ self.weight.t() / self.sigma

    def backward(self, grad_output: Tensor) -> Tensor:
        x, sigma = self.saved()
        self.weight_grad += grad_output.t() @ x / sigma
        return grad_output @ self.weight / sigma


class SpreadOut(Loss_, Loss):
    """The squared error, less a tenth of how far the predictions of a batch are from their mean."""

    cleared_of = "declared_comparison"
    elementwise = False
    compares_samples = True
    spec_members: ClassVar[dict[str, Any]] = {"compares_samples": "predictions of a batch are pushed apart"}

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        self.same_shape(prediction, target)
        difference, centred = prediction - target, prediction - prediction.sum(0) / max(len(prediction), 1)
        self.save(difference, centred)
        return (difference.square() - centred.square() / 10).sum() / max(difference.numel(), 1)

    def backward(self) -> Tensor:
        difference, centred = self.saved()
        return (2 * difference - centred / 5) / max(difference.numel(), 1)


class Contrasted(Loss_, Loss):
    """The cross entropy of which target belongs to which prediction of the batch, by their products."""

    cleared_of = "declared_comparison"
    elementwise = False
    compares_samples = True
    spec_members: ClassVar[dict[str, Any]] = {"compares_samples": "each prediction is told from the targets of others"}

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        self.same_shape(prediction, target)
        targets = target.reshape(len(target), -1) if target.numel() else target.new_zeros(len(target), 1)
        scores = prediction.reshape(targets.shape) @ targets.t()
        self.save(prediction, targets.clone(), scores)
        return (scores.logsumexp(1) - scores.diagonal()).sum() / max(len(scores), 1) if len(scores) else scores.sum()

    def backward(self) -> Tensor:
        prediction, targets, scores = self.saved()
        if not len(scores):
            return torch.zeros_like(prediction)
        excess = scores.softmax(1)
        excess.diagonal().sub_(1)
        return (excess @ targets / len(scores)).reshape(prediction.shape)


class ClippedByNorm(WithMomentum):
    """Momentum of gradients that are made shorter all together, where their common norm is above 1."""

    cleared_of = "gradients_are_read_when_stepping"
    couples_parameters = "gradients are clipped by the norm of all of them"

    def step(self) -> None:
        if not self.parameters:
            return
        norm = torch.stack([gradient.norm() for gradient in self.gradients]).norm()
        share = 1 / norm.clamp(min=1)
        for parameter, gradient, velocity in zip(self.parameters, self.gradients, self.velocities, strict=True):
            velocity.mul_(0.9).add_(share * gradient)
            parameter.sub_(self.lr * velocity)


class SpectralStep(Optimizer_, Optimizer):
    """Barzilai and Borwein's step (1988): its length is taken from how all parameters and gradients have changed."""

    cleared_of = "gradients_are_read_when_stepping"
    couples_parameters = "the length of a step is estimated from all parameters together"

    def __init__(self, parameters: Sequence[tuple[Tensor, Tensor]], lr: float) -> None:
        super().__init__(parameters, lr)
        self.moved = [torch.zeros_like(parameter) for parameter in self.parameters]
        self.before = [torch.zeros_like(parameter) for parameter in self.parameters]

    def step(self) -> None:
        changes = [gradient - before for gradient, before in zip(self.gradients, self.before, strict=True)]
        along = sum(float((moved * change).sum()) for moved, change in zip(self.moved, changes, strict=True))
        length = sum(float(moved.square().sum()) for moved in self.moved)
        size = self.lr * min(1.0, length / along) if along > 0 else self.lr
        for parameter, gradient, moved, before in zip(
            self.parameters, self.gradients, self.moved, self.before, strict=True
        ):
            moved.copy_(-size * gradient)
            parameter.add_(moved)
            before.copy_(gradient)

    def state_dict(self) -> dict[str, Tensor]:
        moved = {f"moved.{index}": tensor for index, tensor in enumerate(self.moved)}
        return moved | {f"before.{index}": tensor for index, tensor in enumerate(self.before)}


class Langevin(Optimizer_, Optimizer):
    """Gradient descent with noise whose variance is twice the learning rate (Welling and Teh 2011)."""

    cleared_of = "declared_random_steps"
    random_steps = "the parameters are to be samples of their posterior"

    def step(self) -> None:
        for parameter, gradient in zip(self.parameters, self.gradients, strict=True):
            noise = torch.randn(parameter.shape, generator=self.generator, dtype=parameter.dtype)
            parameter.add_(-self.lr * gradient + (2 * self.lr) ** 0.5 * noise)

    def state_dict(self) -> dict[str, Tensor]:
        return {"generator": self.generator.get_state()}


class Perturbed(WithMomentum):
    """Momentum, with gradients that are a little wrong by chance."""

    cleared_of = "declared_random_steps"
    random_steps = "noise in the gradients leads out of narrow valleys"

    def step(self) -> None:
        for parameter, gradient, velocity in zip(self.parameters, self.gradients, self.velocities, strict=True):
            noise = torch.randn(parameter.shape, generator=self.generator, dtype=parameter.dtype)
            velocity.mul_(0.9).add_(gradient + 0.01 * noise)
            parameter.sub_(self.lr * velocity)

    def state_dict(self) -> dict[str, Tensor]:
        return super().state_dict() | {"generator": self.generator.get_state()}


HONEST = tuple(value for value in vars().values() if isinstance(value, type) and vars(value).get("cleared_of"))
