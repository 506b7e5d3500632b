"""Layers and optimizers that go another way after an interruption, an evaluation or a change of mode."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import torch
from torch import Tensor
from zoo_building import Dropped, Layer, Scaled
from zoo_optimizers import Plain, WithMomentum


class RestsEveryTenth(Scaled):
    """Each tenth step adds no gradient, and the state does not say how many there have been."""

    caught_by = "resumes_in_the_middle"
    steps = 0

    def backward(self, grad_output: Tensor) -> Tensor:
        self.steps += 1
        kept = [gradient.clone() for _, gradient in self.param()]
        grad_input = super().backward(grad_output)
        if self.steps % 10 == 0:
            for (_, gradient), value in zip(self.param(), kept, strict=True):
                gradient.copy_(value)
        return grad_input


class FoldedInEvaluation(Scaled):
    """In evaluation it keeps the scale doubled beforehand, until it is trained again: a state loaded is not seen."""

    caught_by = "resumes_in_the_middle"
    folded: Tensor | None = None

    def train(self, mode: bool = True) -> Self:
        self.folded = None
        return super().train(mode)

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            return super().forward(x)
        if self.folded is None or self.folded.dtype != x.dtype:
            self.folded = self.scale.clone()
        return x * self.folded[:, None, None] + self.shift[:, None, None]


class Averaging(Layer):
    """y = x less the running mean of what it has seen; right, as the base of what is not."""

    modal = False

    def prepare(self, generator: torch.Generator) -> None:
        self.add_buffer("mean", torch.zeros(self.channels))

    def forward(self, x: Tensor) -> Tensor:
        y = x - self.mean[:, None, None]
        if self.training and len(x):
            self.mean.lerp_(x.mean((0, 2, 3)), 0.25)
        return y

    def backward(self, grad_output: Tensor) -> Tensor:
        return grad_output.clone()


class ResetByTrain(Averaging):
    """train() begins the running mean anew."""

    caught_by = "evaluation_leaves_no_trace"

    def train(self, mode: bool = True) -> Self:
        if mode:
            self.mean.zero_()
        return super().train(mode)


class SlowerAfterEvaluation(Averaging):
    """Each evaluation is counted under a name that is no buffer, and slows the running mean down."""

    caught_by = "evaluation_leaves_no_trace"
    evaluations = 0

    def train(self, mode: bool = True) -> Self:
        self.evaluations += not mode
        return super().train(mode)

    def forward(self, x: Tensor) -> Tensor:
        y = x - self.mean[:, None, None]
        if self.training and len(x):
            self.mean.lerp_(x.mean((0, 2, 3)), 0.25 / (1 + self.evaluations))
        return y


class TwoFactorsFromZero(Layer):
    """y = x + a b x with both factors zero at first, so that neither has a gradient, ever."""

    caught_by = "learning_begins"

    def prepare(self, generator: torch.Generator) -> None:
        for name in ("a", "b"):
            self.add_parameter(name, torch.zeros(self.channels))

    def forward(self, x: Tensor) -> Tensor:
        self.save(x.clone())
        return x * (1 + self.a * self.b)[:, None, None]

    def backward(self, grad_output: Tensor) -> Tensor:
        (x,) = self.saved()
        together = (grad_output * x).sum((0, 2, 3))
        self.a_grad.add_(together * self.b)
        self.b_grad.add_(together * self.a)
        return grad_output * (1 + self.a * self.b)[:, None, None]


class SquareOfZero(Layer):
    """y = x + w^2 with w zero at first, where its gradient is zero."""

    caught_by = "learning_begins"

    def prepare(self, generator: torch.Generator) -> None:
        self.add_parameter("w", torch.zeros(self.channels))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.w.square()[:, None, None]

    def backward(self, grad_output: Tensor) -> Tensor:
        self.w_grad.add_(2 * self.w * grad_output.sum((0, 2, 3)))
        return grad_output.clone()


class NoGradientAtZero(Scaled):
    """Where a shift is exactly zero, as at first, it is taken for one that is switched off, and has no gradient."""

    caught_by = "gradients_from_the_beginning"

    def backward(self, grad_output: Tensor) -> Tensor:
        before = self.shift_grad.clone()
        grad_input = super().backward(grad_output)
        self.shift_grad.copy_(self.shift_grad.where(self.shift != 0, before))
        return grad_input


class HalfAtOne(Layer):
    """y = scale x with a scale of one at first, where its gradient is half as large as it should be."""

    caught_by = "gradients_from_the_beginning"

    def prepare(self, generator: torch.Generator) -> None:
        self.add_parameter("scale", torch.ones(self.channels))

    def forward(self, x: Tensor) -> Tensor:
        self.save(x.clone())
        return x * self.scale[:, None, None]

    def backward(self, grad_output: Tensor) -> Tensor:
        (x,) = self.saved()
        self.scale_grad.add_((grad_output * x).sum((0, 2, 3)) * torch.where(self.scale == 1, 0.5, 1.0))
        return grad_output * self.scale[:, None, None]


class NoGradientForZeros(Layer):
    """y = x / sqrt(1 + x^2), whose gradient at an input of exactly zero is zero instead of one."""

    caught_by = "gradients_for_even_inputs"
    ranks = (1, 2, 3)

    def forward(self, x: Tensor) -> Tensor:
        self.save(x.clone())
        return x / (1 + x * x).sqrt()

    def backward(self, grad_output: Tensor) -> Tensor:
        (x,) = self.saved()
        return grad_output * (x != 0) / (1 + x * x) ** 1.5


class NoGradientForEqualSamples(Scaled):
    """Where all samples of a batch are equal it takes the batch for a single one, and adds the gradients of one."""

    caught_by = "gradients_for_even_inputs"

    def backward(self, grad_output: Tensor) -> Tensor:
        (x,) = self.saved()
        if len(x) > 1 and bool((x == x[:1]).all()):
            self.scale_grad.add_((grad_output * x)[:1].sum((0, 2, 3)))
            self.shift_grad.add_(grad_output.sum((0, 2, 3)))
            return grad_output * self.scale[:, None, None]
        return super().backward(grad_output)


class AnotherMaskInSinglePrecision(Dropped):
    """In float32 backward masks by what lies beside."""

    caught_by = "float32_gradient_of_random_layers"

    def backward(self, grad_output: Tensor) -> Tensor:
        grad = super().backward(grad_output)
        return grad if grad.dtype == torch.float64 else grad.flip(-1)


class ScaledTwiceInSinglePrecision(Dropped):
    """In float32 the gradient lacks the factor that makes up for what is dropped."""

    caught_by = "float32_gradient_of_random_layers"

    def backward(self, grad_output: Tensor) -> Tensor:
        return super().backward(grad_output) / (1 if grad_output.dtype == torch.float64 else 2)


class RestsEverySeventh(WithMomentum):
    """Each seventh step is left out, and the state does not say in which phase it is."""

    caught_by = "state_resumes"
    steps = 0

    def step(self) -> None:
        self.steps += 1
        if self.steps % 7:
            super().step()


class KeepsWhatItHad(WithMomentum):
    """Loading adds to the velocities that are there, which in a new optimizer are zero."""

    caught_by = "state_resumes"

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        before = [velocity.clone() for velocity in self.velocities]
        super().load_state_dict(state)
        for velocity, value in zip(self.velocities, before, strict=True):
            velocity.add_(value)


class VelocityInSinglePrecision(Plain):
    """Keeps its velocities in float32, whatever the parameters are."""

    caught_by = "state_is_as_exact_as_the_parameters"

    def __init__(self, parameters: Sequence[tuple[Tensor, Tensor]], lr: float) -> None:
        super().__init__(parameters, lr)
        self.velocities = [torch.zeros(parameter.shape) for parameter in self.parameters]

    def step(self) -> None:
        for parameter, gradient, velocity in zip(self.parameters, self.gradients, self.velocities, strict=True):
            velocity.mul_(0.9).add_(gradient)
            parameter.sub_(self.lr * velocity)

    def state_dict(self) -> dict[str, Tensor]:
        return {f"velocity.{index}": velocity for index, velocity in enumerate(self.velocities)}


class StateRoundedWhenSaved(WithMomentum):
    """The state that it gives is in float32."""

    caught_by = "state_is_as_exact_as_the_parameters"

    def state_dict(self) -> dict[str, Tensor]:
        return {name: velocity.float() for name, velocity in super().state_dict().items()}


class LargeGradientsShortened(Plain):
    """Gradients over ten are cut off in place."""

    caught_by = "steps_in_place"

    def step(self) -> None:
        for gradient in self.gradients:
            gradient.clamp_(-10, 10)
        super().step()


class ParametersTransposed(Plain):
    """Puts parameters of two dimensions into another order in memory."""

    caught_by = "steps_in_place"

    def step(self) -> None:
        super().step()
        for parameter in self.parameters:
            if parameter.dim() == 2 and min(parameter.shape) > 1:
                parameter.set_(parameter.t().contiguous().t())


class ClimbsAfterAHundred(Plain):
    """From the hundredth step on it adds the gradient, and counts them in its state."""

    caught_by = "descends"

    def __init__(self, parameters: Sequence[tuple[Tensor, Tensor]], lr: float) -> None:
        super().__init__(parameters, lr)
        self.count = torch.zeros((), dtype=torch.int64)

    def step(self) -> None:
        self.count += 1
        rate, self.lr = self.lr, self.lr * (1 if self.count < 100 else -1)
        super().step()
        self.lr = rate

    def state_dict(self) -> dict[str, Any]:
        return {"count": self.count}
