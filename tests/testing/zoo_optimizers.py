"""Optimizers with a single mistake each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor
from zoo_building import Optimizer_

from layerkit.contracts.optimizer import Optimizer


class Plain(Optimizer_, Optimizer):
    """Gradient descent; right."""

    def step(self) -> None:
        for parameter, gradient in zip(self.parameters, self.gradients, strict=True):
            parameter.sub_(self.lr * gradient)


class WithMomentum(Plain):
    """Gradient descent with momentum; right."""

    def __init__(self, parameters: Sequence[tuple[Tensor, Tensor]], lr: float) -> None:
        super().__init__(parameters, lr)
        self.velocities = [torch.zeros_like(parameter) for parameter in self.parameters]

    def step(self) -> None:
        for parameter, gradient, velocity in zip(self.parameters, self.gradients, self.velocities, strict=True):
            velocity.mul_(0.9).add_(gradient)
            parameter.sub_(self.lr * velocity)

    def state_dict(self) -> dict[str, Tensor]:
        return {f"velocity.{index}": velocity for index, velocity in enumerate(self.velocities)}


class ParameterReplaced(Plain):
    """Puts new tensors in its list, and the layer keeps the old ones."""

    caught_by = "steps_in_place"

    def step(self) -> None:
        pairs = zip(self.parameters, self.gradients, strict=True)
        self.parameters = [parameter - self.lr * gradient for parameter, gradient in pairs]


class GradientConsumed(Plain):
    """Scales the gradients in place by the learning rate."""

    caught_by = "steps_in_place"

    def step(self) -> None:
        for parameter, gradient in zip(self.parameters, self.gradients, strict=True):
            parameter.sub_(gradient.mul_(self.lr))


class OnlyTheFirstParameter(Plain):
    """Changes the first parameter only."""

    caught_by = "gradients_are_read_when_stepping"

    def step(self) -> None:
        for parameter, gradient in list(zip(self.parameters, self.gradients, strict=True))[:1]:
            parameter.sub_(self.lr * gradient)


class StandsStill(Plain):
    """Does nothing."""

    caught_by = "steps_change_parameters"

    def step(self) -> None:
        pass


class DecaysWithoutRate(Plain):
    """The weight decay is not multiplied by the learning rate."""

    caught_by = "lr_zero_changes_nothing"

    def step(self) -> None:
        for parameter in self.parameters:
            parameter.mul_(0.999)
        super().step()


class RateFixedAtTheStart(Plain):
    """Uses the learning rate it was made with for ever."""

    caught_by = "lr_may_change"

    def __init__(self, parameters: Sequence[tuple[Tensor, Tensor]], lr: float) -> None:
        super().__init__(parameters, lr)
        self.rate = lr

    def step(self) -> None:
        for parameter, gradient in zip(self.parameters, self.gradients, strict=True):
            parameter.sub_(self.rate * gradient)


class ZeroByFactor(Plain):
    """Clears a gradient by multiplying it with zero."""

    caught_by = "zero_grad_clears"

    def zero_grad(self) -> None:
        for gradient in self.gradients:
            gradient.mul_(0)


class GradientsCopiedAtTheStart(Plain):
    """Copies the gradients when it is made, and steps by these."""

    caught_by = "steps_change_parameters"

    def __init__(self, parameters: Sequence[tuple[Tensor, Tensor]], lr: float) -> None:
        super().__init__([(parameter, gradient.clone()) for parameter, gradient in parameters], lr)


class SharedNorm(Plain):
    """Divides every gradient by the norm of all of them, which makes parameters depend on one another."""

    caught_by = "gradients_are_read_when_stepping"

    def step(self) -> None:
        norm = sum(float(gradient.square().sum()) for gradient in self.gradients) ** 0.5
        for parameter, gradient in zip(self.parameters, self.gradients, strict=True):
            parameter.sub_(self.lr * gradient / (norm + 1))


class FirstIsFaster(Plain):
    """The first parameter it is given has twice the learning rate."""

    caught_by = "order_does_not_matter"

    def step(self) -> None:
        super().step()
        for parameter, gradient in list(zip(self.parameters, self.gradients, strict=True))[:1]:
            parameter.sub_(self.lr * gradient)


class StateWithoutVelocity(WithMomentum):
    """The velocities are not part of its state."""

    caught_by = "state_resumes"

    def state_dict(self) -> dict[str, Tensor]:
        return {}


class StateWithoutTime(WithMomentum):
    """Warms its rate up over the first steps, and the state does not say how many there have been."""

    caught_by = "state_resumes"
    time = 0

    def step(self) -> None:
        self.time += 1
        rate, self.lr = self.lr, self.lr * min(1, self.time / 5)
        super().step()
        self.lr = rate


class StateOfAnyone(WithMomentum):
    """Takes any state and keeps what it knows of it."""

    caught_by = "wrong_optimizer_state_is_refused"

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        for name, tensor in self.state_dict().items():
            if name in state and state[name].shape == tensor.shape:
                tensor.copy_(state[name])


class Climbs(Plain):
    """Adds the gradient instead of subtracting it."""

    caught_by = "descends"

    def step(self) -> None:
        for parameter, gradient in zip(self.parameters, self.gradients, strict=True):
            parameter.add_(self.lr * gradient)


class ContiguousOnly(Plain):
    """Takes flat views of the parameters."""

    caught_by = "any_parameters"

    def step(self) -> None:
        for parameter, gradient in zip(self.parameters, self.gradients, strict=True):
            parameter.view(-1).sub_(self.lr * gradient.reshape(-1))


class VelocitiesOfTheClass(WithMomentum):
    """Keeps the velocities by position, on the class."""

    caught_by = "optimizer_keeps_to_itself"
    shared: ClassVar[dict[Any, Tensor]] = {}

    def __init__(self, parameters: Sequence[tuple[Tensor, Tensor]], lr: float) -> None:
        super().__init__(parameters, lr)
        self.velocities = [
            self.shared.setdefault((index, velocity.shape, velocity.dtype), velocity)
            for index, velocity in enumerate(self.velocities)
        ]


class KeepsAHistory(Plain):
    """Keeps a copy of the gradients of every step."""

    caught_by = "optimizer_keeps_to_itself"

    def __init__(self, parameters: Sequence[tuple[Tensor, Tensor]], lr: float) -> None:
        super().__init__(parameters, lr)
        self.history: list[Tensor] = []

    def step(self) -> None:
        self.history += [gradient.clone() for gradient in self.gradients]
        super().step()


class NotTorchsOptimizer(Plain):
    """Names torch's SGD with momentum as its namesake and has none."""

    caught_by = "agrees_with_torch"

    def reference(self) -> tuple[str, dict[str, Any]]:
        return "SGD", {"lr": self.lr, "momentum": 0.5}
