"""Optimizers with a mistake each are caught, and torch's own are not accused."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.optim import SGD, Adam, AdamW, Optimizer, RMSprop

from layerkit.errors import UserError
from layerkit.testing import WrongGradients, check_optimizer


class Plain(Optimizer):
    """Gradient descent with a momentum."""

    def __init__(self, params: Any, lr: float = 0.1) -> None:
        super().__init__(params, {"lr": lr})

    def step(self, closure: Any = None) -> Any:
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        with torch.no_grad():
            for group in self.param_groups:
                for parameter in group["params"]:
                    if parameter.grad is not None:
                        self.move(parameter, group["lr"])
        return loss

    def velocity(self, parameter: torch.Tensor) -> torch.Tensor:
        state = self.state[parameter]
        if "velocity" not in state:
            state["velocity"] = torch.zeros_like(parameter)
        return state["velocity"].mul_(0.5).add_(parameter.grad)

    def move(self, parameter: torch.Tensor, lr: float) -> None:
        parameter.add_(self.velocity(parameter), alpha=-lr)


class WritesIntoGradients(Plain):
    caught_by = "gradients_are_kept"

    def move(self, parameter, lr):
        parameter.sub_(parameter.grad.mul_(lr))


class ReplacesMemory(Plain):
    caught_by = "steps_move_parameters"

    def move(self, parameter, lr):
        parameter.data = parameter - lr * self.velocity(parameter)


class MakesAGraph(Plain):
    caught_by = "steps_move_parameters"

    def move(self, parameter, lr):
        with torch.enable_grad():
            parameter.data.add_(parameter.grad, alpha=-lr)
        if parameter.dim() == 0:
            parameter.data.sub_(torch.inf)


class NeedsAllGradients(Plain):
    caught_by = "without_a_gradient"

    def step(self, closure=None):
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    parameter.grad = torch.ones_like(parameter)
        return super().step(closure)


class StateByPosition(Plain):
    caught_by = "resumes"

    def __init__(self, params, lr=0.1):
        super().__init__(params, lr)
        self.kept = {}

    def velocity(self, parameter):
        self.kept.setdefault(parameter, torch.zeros_like(parameter))
        return self.kept[parameter].mul_(0.5).add_(parameter.grad)


class KeepsItsRate(Plain):
    caught_by = "groups_have_their_own_values"

    def __init__(self, params, lr=0.1):
        super().__init__(params, lr)
        self.lr = lr

    def move(self, parameter, lr):
        super().move(parameter, self.lr)


class CountsPositions(Plain):
    caught_by = "any_order"

    def step(self, closure=None):
        self.position = 0
        return super().step(closure)

    def move(self, parameter, lr):
        self.position += 1
        super().move(parameter, lr / self.position)


class ReadsMemory(Plain):
    caught_by = "any_layout"

    def velocity(self, parameter):
        gradient = parameter.grad
        return gradient.as_strided(gradient.shape, torch.empty(gradient.shape, device="meta").stride())


class ForgetsTheClosure(Plain):
    caught_by = "closure_is_called"

    def step(self, closure=None):
        return super().step(None)


class KnowsItsFirstParameters(Plain):
    caught_by = "parameters_can_be_added"

    def __init__(self, params, lr=0.1):
        super().__init__(params, lr)
        self.first = [parameter for group in self.param_groups for parameter in group["params"]]

    def step(self, closure=None):
        with torch.enable_grad():
            loss = closure() if closure else None
        with torch.no_grad():
            for parameter in self.first:
                if parameter.grad is not None:
                    self.move(parameter, self.param_groups[0]["lr"])
        return loss


class DividesByNumber(Plain):
    caught_by = "empty_parameters"

    def move(self, parameter, lr):
        super().move(parameter, lr * parameter.numel() / (1 / (1 / parameter.numel())))


class GoesUp(Plain):
    caught_by = "goes_down"

    def move(self, parameter, lr):
        super().move(parameter, -lr)


class RoundsItsState(Plain):
    caught_by = "float32_agrees"

    def velocity(self, parameter):
        return super().velocity(parameter).float() if parameter.dtype == torch.float64 else 1.001 * parameter.grad


class Restless(Plain):
    caught_by = "repeats_itself"
    calls = 0

    def move(self, parameter, lr):
        Restless.calls += 1
        super().move(parameter, lr * (1 + 1e-6 * Restless.calls))


class HalfTheRate(Plain):
    caught_by = "bfloat16_agrees"

    def move(self, parameter, lr):
        super().move(parameter, lr / 4 if parameter.dtype == torch.bfloat16 else lr)


BROKEN = [cls for cls in Plain.__subclasses__()]


@pytest.mark.parametrize("broken", BROKEN, ids=lambda cls: cls.__name__)
def test_a_mistake_is_caught(broken: Any) -> None:
    report = check_optimizer(lambda parameters: broken(parameters), raises=False)
    assert broken.caught_by in [result.check for result in report.failures], report.explain()


def test_every_check_catches_something() -> None:
    caught = {cls.caught_by for cls in BROKEN}
    assert caught == {result.check for result in check_optimizer(Plain).results}


@pytest.mark.parametrize(
    "right",
    [
        Plain,
        lambda parameters: SGD(parameters, lr=0.1, momentum=0.9, nesterov=True),
        lambda parameters: Adam(parameters, lr=0.05, amsgrad=True),
        lambda parameters: AdamW(parameters, lr=0.05),
        lambda parameters: RMSprop(parameters, lr=0.05),
    ],
)
def test_nothing_is_found_in_correct_ones(right: Any) -> None:
    assert not check_optimizer(right).failures


def test_a_reference_is_followed() -> None:
    assert not check_optimizer(Plain, reference=lambda p: SGD(p, lr=0.1, momentum=0.5)).failures
    with pytest.raises(WrongGradients, match=r"steps_of_the_reference.*\n.*beside the reference: parameter 0"):
        check_optimizer(Plain, reference=lambda p: SGD(p, lr=0.1))


def test_a_program_shows_the_failure() -> None:
    script = check_optimizer(GoesUp, raises=False).failures[0].script
    assert "layerkit" not in script
    with pytest.raises(AssertionError, match="100 steps lead from a height"):
        exec(compile(script, "<script>", "exec"), {})


def test_known_failures_are_strict() -> None:
    assert check_optimizer(GoesUp, known_failures={"goes_down": "it climbs"}).counts()["known failure"] == 1
    with pytest.raises(WrongGradients, match="take it off the list"):
        check_optimizer(Plain, known_failures={"goes_down": "it climbs"})
    with pytest.raises(UserError, match="there is none of that name"):
        check_optimizer(Plain, known_failures={"goes": "it climbs"})


def test_what_is_no_optimizer_is_told() -> None:
    with pytest.raises(UserError, match="and list is none"):
        check_optimizer(lambda parameters: [])
    with pytest.raises(UserError, match="LBFGS cannot make a step without a closure"):
        check_optimizer(torch.optim.LBFGS)
