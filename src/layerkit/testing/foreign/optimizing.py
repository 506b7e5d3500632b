"""What must hold of any optimizer of torch's kind; a script that reproduces a failure has this text in it.

A check takes ``make``, which makes an optimizer of a list of parameters, and raises an AssertionError. The gradients
are those of a convex bowl, computed by hand, so that nothing else is looked at.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

Make = Callable[[Any], Optimizer]
SHAPES = ((3, 4), (5,), ())
STEPS = 6


def starts(dtype: torch.dtype = torch.float64) -> list[Tensor]:
    """Return new parameters, which are the same each time."""
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(s, generator=generator, dtype=torch.float64).to(dtype).requires_grad_() for s in SHAPES]


def slope(parameter: Tensor, number: int) -> Tensor:
    """Return the gradient of a bowl whose curvature, between 1 and 3, differs by value and by parameter."""
    curvature = 1 + torch.arange(parameter.numel(), dtype=torch.float64).reshape(parameter.shape) % 3
    return ((parameter.detach().double() - 0.3 * number) * curvature).to(parameter.dtype)


def height(parameters: list[Tensor]) -> float:
    """Return the height of the bowl."""
    return sum(
        float((slope(p, i).double() * (p.detach().double() - 0.3 * i)).sum()) / 2 for i, p in enumerate(parameters)
    )


def steps(optimizer: Optimizer, parameters: list[Tensor], count: int = STEPS) -> list[Tensor]:
    """Make steps down the bowl, and return the parameters."""
    torch.manual_seed(0)
    for _ in range(count):
        for number, parameter in enumerate(parameters):
            if parameter.numel():
                parameter.grad = slope(parameter, number)
        optimizer.step()
    return parameters


def same(first: list[Tensor], second: list[Tensor], what: str, tolerance: float = 1e-9) -> None:
    """Fail unless two lists of parameters are equal but for rounding."""
    for number, (mine, its) in enumerate(zip(first, second, strict=True)):
        error = float((mine.detach().double() - its.detach().double()).abs().max()) if mine.numel() else 0.0
        scale = 1 + float(its.detach().abs().max()) if its.numel() else 1.0
        assert error <= tolerance * scale, f"{what}: parameter {number} is another by {error:.3g}"


def steps_move_parameters(make: Make) -> None:
    """Steps move every parameter, in its own memory, and keep it a leaf without a graph."""
    parameters = starts()
    places = [p.data_ptr() for p in parameters]
    steps(make(parameters), parameters)
    for number, (parameter, start, place) in enumerate(zip(parameters, starts(), places, strict=True)):
        assert parameter.data_ptr() == place, f"a step puts other memory in place of parameter {number}"
        assert parameter.is_leaf and parameter.grad_fn is None, f"a step makes a graph of parameter {number}"
        assert bool(parameter.isfinite().all()), f"parameter {number} is infinite or not a number"
        assert not torch.equal(parameter, start), f"parameter {number} is never moved"


def repeats_itself(make: Make) -> None:
    """The same steps give the same parameters, with torch's generator at the same place."""
    first, second = starts(), starts()
    same(steps(make(first), first), steps(make(second), second), "made twice", 0.0)


def gradients_are_kept(make: Make) -> None:
    """A step does not write into gradients: they may be shown, or accumulated further."""
    parameters = starts()
    optimizer = make(parameters)
    for _ in range(STEPS):
        for number, parameter in enumerate(parameters):
            parameter.grad = slope(parameter, number)
        before = [slope(parameter, number) for number, parameter in enumerate(parameters)]
        optimizer.step()
        for number, (parameter, value) in enumerate(zip(parameters, before, strict=True)):
            unchanged = parameter.grad is not None and torch.equal(parameter.grad, value)
            assert unchanged, f"a step has changed the gradient of parameter {number}"


def without_a_gradient(make: Make) -> None:
    """A parameter without a gradient stays, and does not disturb the others."""
    parameters, alone = starts(), starts()
    frozen, others = parameters[1], [parameters[0], parameters[2]]
    optimizer, start = make(parameters), frozen.detach().clone()
    reference = make([alone[0], alone[2]])
    torch.manual_seed(0)
    for _ in range(STEPS):
        for pair in (others, [alone[0], alone[2]]):
            for number, parameter in enumerate(pair):
                parameter.grad = slope(parameter, number)
        optimizer.step()
        reference.step()
    assert torch.equal(frozen, start), "a parameter whose gradient is None is moved"
    same(others, [alone[0], alone[2]], "beside a parameter without a gradient")


def any_order(make: Make) -> None:
    """The order of the parameters does not matter."""
    first, second = starts(), starts()
    steps(make(first), first)
    optimizer = make(second[::-1])
    steps(optimizer, second)
    same(second, first, "in another order")


def any_layout(make: Make) -> None:
    """Parameters and gradients that are transposed in memory are treated as any others."""
    first, second = starts(), starts()
    second[0] = second[0].detach().t().contiguous().t().requires_grad_()
    steps(make(first), first)
    same(steps(make(second), second), first, "with a transposed parameter")
    third = starts()
    optimizer = make(third)
    torch.manual_seed(0)
    for _ in range(STEPS):
        for number, parameter in enumerate(third):
            gradient = slope(parameter, number)
            parameter.grad = gradient.t().contiguous().t() if gradient.dim() == 2 else gradient
        optimizer.step()
    same(third, first, "with transposed gradients")


def resumes(make: Make) -> None:
    """From a copy of state_dict() the steps go on to the last bit."""
    first, second = starts(), starts()
    optimizer = make(first)
    steps(optimizer, first)
    saved = copy.deepcopy(optimizer.state_dict())
    for parameter, value in zip(second, first, strict=True):
        parameter.data.copy_(value.data)
    steps(optimizer, first)
    other = make(second)
    other.load_state_dict(saved)
    same(steps(other, second), first, "from a saved state", 0.0)


def groups_have_their_own_values(make: Make) -> None:
    """Each group has its own learning rate, and one that a schedule writes into param_groups has an effect."""
    plain, parameters, alone, unchanged = starts(), starts(), starts(), starts()
    optimizer = make(plain)
    rate = optimizer.param_groups[0].get("lr")
    if not isinstance(rate, float):
        return
    optimizer.param_groups[0]["lr"] = rate / 4
    steps(optimizer, plain)
    steps(make(unchanged), unchanged)
    assert not torch.equal(plain[0], unchanged[0]), "a learning rate that is written into param_groups has no effect"
    steps(make([{"params": alone, "lr": rate / 4}]), alone)
    steps(make([{"params": parameters[:1], "lr": rate / 4}, {"params": parameters[1:], "lr": rate}]), parameters)
    same(parameters[:1], alone[:1], "with a group beside it that has another learning rate")


def parameters_can_be_added(make: Make) -> None:
    """A parameter that is added by add_param_group is moved from then on."""
    parameters = starts()
    optimizer = make(parameters[:2])
    steps(optimizer, parameters[:2], 2)
    optimizer.add_param_group({"params": [parameters[2]]})
    before = parameters[2].detach().clone()
    steps(optimizer, parameters, 3)
    assert not torch.equal(parameters[2], before), "a parameter that was added is never moved"


def closure_is_called(make: Make) -> None:
    """step(closure) calls the closure with gradients enabled, and returns its loss."""
    parameters = starts()
    optimizer, enabled = make(parameters), []

    def closure() -> float:
        enabled.append(torch.is_grad_enabled())
        for number, parameter in enumerate(parameters):
            parameter.grad = slope(parameter, number)
        return 0.625

    loss = optimizer.step(closure)
    assert enabled, "the closure is never called"
    assert all(enabled), "the closure is called without gradients enabled"
    assert loss == 0.625, f"step(closure) returns {loss}, not the loss"


def empty_parameters(make: Make) -> None:
    """A parameter without values does no harm."""
    first, second = starts(), [torch.empty(0, 3, dtype=torch.float64).requires_grad_(), *starts()]
    second[0].grad = torch.empty(0, 3, dtype=torch.float64)
    steps(make(first), first)
    optimizer = make(second)
    torch.manual_seed(0)
    for _ in range(STEPS):
        for number, parameter in enumerate(second[1:]):
            parameter.grad = slope(parameter, number)
        optimizer.step()
    same(second[1:], first, "beside an empty parameter")


def goes_down(make: Make) -> None:
    """A hundred steps go down a convex bowl."""
    parameters = starts()
    before = height(parameters)
    steps(make(parameters), parameters, 100)
    after = height(parameters)
    assert after < before, f"100 steps lead from a height of {before:.4g} to one of {after:.4g}"


def float32_agrees(make: Make) -> None:
    """In float32 the steps are those of float64, but for rounding."""
    first, second = starts(), starts(torch.float32)
    steps(make(first), first)
    same(steps(make(second), second), first, "in float32", 1e-4)


def bfloat16_agrees(make: Make) -> None:
    """In bfloat16 the steps are those of float64, as far as its digits go."""
    first, second = starts(), starts(torch.bfloat16)
    steps(make(first), first)
    same(steps(make(second), second), first, "in bfloat16", 0.1)
