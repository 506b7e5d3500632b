"""Components whose tensors lie together, are moved, or are known by their addresses, sizes or dtypes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor
from zoo_building import Bent, Layer, Optimizer_, Scaled
from zoo_losses import Squared
from zoo_noises import Additive

from layerkit.contracts.optimizer import Optimizer


class ParametersInOneMemory(Scaled):
    """Scale and shift are two halves of one tensor that overlap in a value."""

    caught_by = "memory_is_its_own"

    def prepare(self, generator: torch.Generator) -> None:
        both = torch.randn(2 * self.channels, generator=generator)
        self.add_parameter("scale", both[: self.channels])
        self.add_parameter("shift", both[self.channels - 1 : 2 * self.channels - 1])


class AverageIsTheParameter(Scaled):
    """Its average of the scale is the scale itself, and not a copy."""

    caught_by = "memory_is_its_own"

    def prepare(self, generator: torch.Generator) -> None:
        super().prepare(generator)
        self.add_buffer("average", self.scale)


class ScaleOfTheClass(Scaled):
    """The scale that all layers of one width begin with is one tensor."""

    caught_by = "memory_is_its_own"
    first: ClassVar[dict[int, Tensor]] = {}

    def prepare(self, generator: torch.Generator) -> None:
        self.add_parameter("scale", self.first.setdefault(self.channels, torch.ones(self.channels)))
        self.add_parameter("shift", torch.zeros(self.channels))


class ParametersReordered(Layer):
    """Its first evaluation turns the order of its weights in memory around, for speed."""

    caught_by = "parameters_keep_their_places"

    def prepare(self, generator: torch.Generator) -> None:
        self.add_parameter("weight", torch.randn(self.channels, 2, generator=generator))

    def forward(self, x: Tensor) -> Tensor:
        if not self.training and self.weight.is_contiguous():
            self.weight.data = self.weight.t().contiguous().t()
        self.save(x.clone())
        return x * self.weight.sum(1)[:, None, None]

    def backward(self, grad_output: Tensor) -> Tensor:
        (x,) = self.saved()
        self.weight_grad.add_((grad_output * x).sum((0, 2, 3))[:, None])
        return grad_output * self.weight.sum(1)[:, None, None]


class GradientMoved(Scaled):
    """zero_grad puts the gradient of the scale into new memory, under the same name."""

    caught_by = "parameters_keep_their_places"

    def zero_grad(self) -> None:
        super().zero_grad()
        self.scale_grad.data = torch.zeros_like(self.scale_grad)


class KnownByIdOfItself(Scaled):
    """Keeps its scale for evaluation in a table by its own id, where another layer's may still be."""

    caught_by = "nothing_is_known_by_its_address"
    varies = "memory is used again"
    table: ClassVar[dict[Any, Tensor]] = {}

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            return super().forward(x)
        scale = self.table.setdefault((id(self), x.dtype), self.scale.clone())
        return x * scale[:, None, None] + self.shift[:, None, None]


class BuiltOnceForAnId(Scaled):
    """A layer that was built where another one lay takes that one's shift in its first evaluation."""

    caught_by = "nothing_is_known_by_its_address"
    varies = "memory is used again"
    table: ClassVar[dict[int, Tensor]] = {}

    def backward(self, grad_output: Tensor) -> Tensor:
        kept = self.table.setdefault(id(self), self.scale.clone())
        if kept.shape == self.scale.shape and kept.dtype == self.scale.dtype and not torch.equal(kept, self.scale):
            return grad_output * kept[:, None, None] + 0 * super().backward(grad_output)
        return super().backward(grad_output)


class LossKnownById(Squared):
    """Takes a loss for the one that lay there before, and gives that one's number."""

    caught_by = "nothing_is_known_by_its_address"
    varies = "memory is used again"
    table: ClassVar[dict[Any, float]] = {}

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        value = super().forward(prediction, target)
        if not prediction.numel() or not bool(value.isfinite()):
            return value
        return value + 0 * value + self.table.setdefault((id(self), prediction.shape), float(value)) - value


class OptimizerKnownById(Optimizer_, Optimizer):
    """Keeps velocities in a table of the class, by the id of the parameter."""

    caught_by = "nothing_is_known_by_its_address"
    varies = "memory is used again"
    table: ClassVar[dict[int, Tensor]] = {}

    def step(self) -> None:
        for parameter, gradient in zip(self.parameters, self.gradients, strict=True):
            velocity = self.table.get(id(parameter))
            if velocity is None or velocity.shape != parameter.shape or velocity.dtype != parameter.dtype:
                velocity = self.table[id(parameter)] = torch.zeros_like(parameter)
            velocity.mul_(0.9).add_(gradient)
            parameter.sub_(self.lr * velocity)

    def state_dict(self) -> dict[str, Tensor]:
        return {
            f"velocity.{index}": self.table.setdefault(id(parameter), torch.zeros_like(parameter))
            for index, parameter in enumerate(self.parameters)
        }


class CacheBySizeAlone(Bent):
    """Keeps a row of ones for each width, and forgets the dtype: a later one comes out in the first one's."""

    caught_by = "sizes_and_dtypes_in_turn"

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.rows: dict[int, Tensor] = {}

    def forward(self, x: Tensor) -> Tensor:
        width = x.shape[-1]
        row = self.rows.setdefault(width, (torch.arange(width, dtype=x.dtype, device=x.device) + 1) / 3)
        return super().forward(x) + row.to(x.dtype)


class GrownBuffer(Bent):
    """Keeps a buffer that is as long as the longest width so far, and adds up all of it."""

    caught_by = "sizes_and_dtypes_in_turn"

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.longest = 0

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.longest = max(self.longest, x.shape[0])
        return super().forward(x) + self.longest - len(x) if self.training else super().forward(x)


class LossCachesItsCount(Squared):
    """Divides by the number of values of the first call."""

    caught_by = "sizes_and_dtypes_in_turn"
    count = 0

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        self.count = self.count or prediction.numel()
        return super().forward(prediction, target) * max(prediction.numel(), 1) / max(self.count, 1)

    def backward(self) -> Tensor:
        return super().backward() * max(self.numbers(), 1) / max(self.count, 1)

    def numbers(self) -> int:
        return self.saved()[0].numel()


class NoiseKeepsItsScale(Additive):
    """Keeps how strong it is in the dtype of the first picture, and a third of that is not the same in another."""

    caught_by = "sizes_and_dtypes_in_turn"
    strength: Tensor | None = None

    def draw(self, source: Tensor, generator: torch.Generator) -> Tensor:
        if self.strength is None:
            self.strength = source.new_ones(()) / 3
        return source + self.strength.to(source.dtype) * (super().draw(source, generator) - source)


class RememberedSequence(Optimizer_, Optimizer):
    """Takes two lists of parameters of one length for the same."""

    caught_by = "optimizer_keeps_to_itself"
    table: ClassVar[dict[int, list[Tensor]]] = {}

    def __init__(self, parameters: Sequence[tuple[Tensor, Tensor]], lr: float) -> None:
        super().__init__(parameters, lr)
        shapes = str([parameter.shape for parameter in self.parameters])
        self.velocities = self.table.setdefault(hash(shapes), [torch.zeros_like(its) for its in self.parameters])
        if any(v.dtype != p.dtype for v, p in zip(self.velocities, self.parameters, strict=True)):
            self.velocities = [torch.zeros_like(its) for its in self.parameters]

    def step(self) -> None:
        for parameter, gradient, velocity in zip(self.parameters, self.gradients, self.velocities, strict=True):
            velocity.mul_(0.9).add_(gradient)
            parameter.sub_(self.lr * velocity)

    def state_dict(self) -> dict[str, Tensor]:
        return {f"velocity.{index}": velocity for index, velocity in enumerate(self.velocities)}
