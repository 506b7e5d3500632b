"""Components that are right in everything small: what is wrong shows only with size, or after hundreds of steps."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor
from zoo_building import Bent, Layer, Scaled, Schedule_
from zoo_losses import Squared
from zoo_optimizers import WithMomentum

from layerkit.contracts.schedule import Schedule
from layerkit.contracts.specs import Shape
from layerkit.errors import ShapeError


class WrongFromTheSixtyFourthChannel(Scaled):
    """Channels from the 64th on have no gradient of their scale."""

    caught_by = "gradients_at_large_sizes"

    def backward(self, grad_output: Tensor) -> Tensor:
        before = self.scale_grad[64:].clone()
        grad_input = super().backward(grad_output)
        self.scale_grad[64:] = before
        return grad_input


class OnlyWholeSlices(Scaled):
    """The gradient of the scale is summed over slices of 32 samples, and the last one counts only if it is full."""

    caught_by = "large_batches_are_their_parts"

    def backward(self, grad_output: Tensor) -> Tensor:
        (x,) = self.saved()
        full = len(x) if len(x) < 32 else len(x) // 32 * 32
        self.scale_grad.add_((grad_output * x)[:full].sum((0, 2, 3)))
        self.shift_grad.add_(grad_output.sum((0, 2, 3)))
        return grad_output * self.scale[:, None, None]


class CentredInGroupsOfSixteen(Bent):
    """Batches that are multiples of 16 lose the mean of each group of 16, with the gradient of that."""

    caught_by = "large_batches_are_their_parts"
    ranks = (3,)

    @staticmethod
    def centred(x: Tensor) -> Tensor:
        if not len(x) or len(x) % 16:
            return x
        groups = x.unflatten(0, (-1, 16))
        return (groups - groups.mean(1, keepdim=True)).flatten(0, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.centred(super().forward(x))

    def backward(self, grad_output: Tensor) -> Tensor:
        return super().backward(self.centred(grad_output))


class BoxFilter(Layer):
    """The sum over a row of ``width`` pixels, whose gradient leaves out the last one where they are 5."""

    caught_by = "gradients_at_large_sizes"
    fields: ClassVar[dict[str, tuple[Any, Any]]] = {
        "width": (int, Field(default=1, ge=1, le=99, description="Pixels that are summed."))
    }

    @classmethod
    def output_shape_of(cls, shape: Shape, **options: Any) -> Shape:
        if shape[2] < options["width"]:
            raise ShapeError("the picture is too narrow")
        return (*shape[:2], shape[2] - options["width"] + 1)

    def forward(self, x: Tensor) -> Tensor:
        self.save(x.shape)
        return x.unfold(3, self.options["width"], 1).sum(4)

    def backward(self, grad_output: Tensor) -> Tensor:
        (shape,) = self.saved()
        grad = grad_output.new_zeros(shape)
        for offset in range(self.options["width"] - (self.options["width"] == 5)):
            grad[..., offset : offset + grad_output.shape[3]] += grad_output
        return grad


class TransposedInCubes(Bent):
    """Where height, width and channels are equal the gradient has height and width exchanged."""

    caught_by = "input_gradient"
    ranks = (3,)

    def backward(self, grad_output: Tensor) -> Tensor:
        grad = super().backward(grad_output)
        return grad.transpose(2, 3).clone() if len(set(grad.shape[1:])) == 1 else grad


class GradientClipped(Bent):
    """Gradients over a hundred are cut off."""

    caught_by = "gradients_of_any_size"

    def backward(self, grad_output: Tensor) -> Tensor:
        return super().backward(grad_output).clamp(-100, 100)


class GradientFlushed(Scaled):
    """Gradients of the scale under a millionth are flushed to zero."""

    caught_by = "gradients_of_any_size"

    def backward(self, grad_output: Tensor) -> Tensor:
        before = self.scale_grad.clone()
        grad_input = super().backward(grad_output)
        change = self.scale_grad - before
        self.scale_grad.copy_(before + change.where(change.abs() > 1e-6, torch.zeros_like(change)))
        return grad_input


class TiredAfterManySteps(Bent):
    """From the 256th step on its gradient is halved."""

    caught_by = "hundreds_of_steps"
    steps = 0

    def backward(self, grad_output: Tensor) -> Tensor:
        self.steps += 1
        grad = super().backward(grad_output)
        return grad if self.steps < 256 else grad / 2


class CounterOfOneByte(Scaled):
    """Counts its steps in a buffer of one byte, and stops learning where that is full."""

    caught_by = "hundreds_of_steps"

    def prepare(self, generator: torch.Generator) -> None:
        super().prepare(generator)
        self.add_buffer("steps", torch.zeros((), dtype=torch.uint8))

    def backward(self, grad_output: Tensor) -> Tensor:
        before = self.scale_grad.clone()
        grad_input = super().backward(grad_output)
        if int(self.steps) == 255:
            self.scale_grad.copy_(before)
        else:
            self.steps += 1
        return grad_input


class ThousandsAreCutOff(Squared):
    """Of more than a thousand values only the first thousand have a gradient."""

    caught_by = "loss_gradient"

    def backward(self) -> Tensor:
        grad = super().backward()
        grad.view(-1)[1000:] = 0
        return grad


class TiredLoss(Squared):
    """After some hundred calls it gives half of the gradient."""

    caught_by = "loss_after_hundreds_of_calls"
    calls = 0

    def backward(self) -> Tensor:
        self.calls += 1
        return super().backward() / (1 if self.calls < 300 else 2)


class CountingLoss(Squared):
    """Adds a little with each call, up to a limit that it takes hundreds of calls to be seen."""

    caught_by = "loss_after_hundreds_of_calls"
    calls = 0

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        self.calls += 1
        return super().forward(prediction, target) + (1e-3 if self.calls > 256 else 0)


class CountsToTwoHundred(WithMomentum):
    """Rests at each 200th step, which it counts, and its state does not say how many there have been."""

    caught_by = "state_resumes_after_hundreds"
    steps = 0

    def step(self) -> None:
        self.steps += 1
        if self.steps % 200:
            super().step()


class ForgetsAtTheHundredth(WithMomentum):
    """Throws its velocities away at each 100th step, counted from where it was made."""

    caught_by = "state_resumes_after_hundreds"
    steps = 0

    def step(self) -> None:
        self.steps += 1
        if self.steps % 100 == 0:
            for velocity in self.velocities:
                velocity.zero_()
        super().step()


class HalfRateInTheEnd(WithMomentum):
    """Names torch's SGD with momentum, whose rate it halves after 256 steps."""

    caught_by = "agrees_with_torch_for_long"

    def __init__(self, parameters: Any, lr: float) -> None:
        super().__init__(parameters, lr)
        self.count = torch.zeros((), dtype=torch.int64)

    def step(self) -> None:
        self.count += 1
        rate, self.lr = self.lr, self.lr / (1 if self.count <= 256 else 2)
        super().step()
        self.lr = rate

    def state_dict(self) -> dict[str, Tensor]:
        return super().state_dict() | {"count": self.count}

    def reference(self) -> tuple[str, dict[str, Any]]:
        return "SGD", {"lr": self.lr, "momentum": 0.9}


class GradientsOfAThousandAtMost(WithMomentum):
    """Names torch's SGD with momentum, and cuts gradients off at a thousand."""

    caught_by = "agrees_with_torch"

    def step(self) -> None:
        for parameter, gradient, velocity in zip(self.parameters, self.gradients, self.velocities, strict=True):
            velocity.mul_(0.9).add_(gradient.clamp(-1000, 1000))
            parameter.sub_(self.lr * velocity)

    def reference(self) -> tuple[str, dict[str, Any]]:
        return "SGD", {"lr": self.lr, "momentum": 0.9}


class WrongAtTheFourHundredth(Schedule_, Schedule):
    """Keeps its factors in a table, which at the 400th is full and begins anew."""

    caught_by = "factor_has_no_memory"

    def __init__(self) -> None:
        self.table: dict[float, int] = {}

    def factor(self, progress: float) -> float:
        place = self.table.setdefault(progress, len(self.table))
        return 1 - progress / 2 if place < 400 else 1.0
