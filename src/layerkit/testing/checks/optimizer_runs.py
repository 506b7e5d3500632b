"""Optimizers over many steps: interrupted, for long, and downhill."""

from __future__ import annotations

import torch
from torch import Tensor

from layerkit.contracts.optimizer import Optimizer
from layerkit.testing.cases.case import OptimizerCase
from layerkit.testing.check import CheckFailed, check, not_applicable, require
from layerkit.testing.checks.optimizers import Pairs, has_lr
from layerkit.testing.instruments.comparison import require_same_bits
from layerkit.testing.instruments.observation import reachable_tensors, share_memory

HUNDREDS = 520


@check("optimizer", large=0.3)
def state_resumes(case: OptimizerCase) -> None:
    """An optimizer, new or used, that loads a state saved in the middle of 30 steps continues bit for bit.

    The learning rate changes on the way. The state is copied, and reading it changes nothing.
    """
    _resume(case, 30, 4 + case.seed % 22)


@check("optimizer", most=2)
def state_resumes_after_hundreds(case: OptimizerCase) -> None:
    """An optimizer that loads a state saved after hundreds of steps continues bit for bit as well."""
    _resume(case, HUNDREDS, HUNDREDS - 130)


def _resume(case: OptimizerCase, steps: int, at: int) -> None:
    pairs = case.pairs()
    optimizer = case.optimizer(pairs)
    fresh = list(optimizer.state_dict())
    run(case, optimizer, pairs, range(at))
    state = {name: value.clone() for name, value in optimizer.state_dict().items()}
    require(fresh == list(state), f"the names of the state change with use: {fresh} became {list(state)}")
    successors = {}
    for who, before in (("a new optimizer", 0), ("an optimizer that was used before", 7)):
        others = [(parameter.clone(), gradient.clone()) for parameter, gradient in pairs]
        successor = case.optimizer(others)
        run(case, successor, others, range(before))
        for (parameter, gradient), (its, its_gradient) in zip(others, pairs, strict=True):
            parameter.copy_(its)
            gradient.copy_(its_gradient)
        successor.load_state_dict(state)
        for name, value in successor.state_dict().items():
            require(
                not share_memory(value, state[name]), f"after loading, {name} lies in the memory of what was loaded"
            )
        successors[who] = successor, others
    run(case, optimizer, pairs, range(at, steps))
    for who, (successor, others) in successors.items():
        run(case, successor, others, range(at, steps))
        for (expected, _), (given, _) in zip(pairs, others, strict=True):
            what = f"{who} that loaded the state goes another way: something is missing in the state"
            require_same_bits(given, expected, what)
        for name, value in optimizer.state_dict().items():
            require_same_bits(
                successor.state_dict()[name], value, f"{who} that loaded the state ends with another {name}"
            )


def run(case: OptimizerCase, optimizer: Optimizer, pairs: Pairs, steps: range) -> None:
    """Make steps with gradients of several sizes and a learning rate that falls from time to time."""
    lr = case.spec.model_dump().get("lr")
    for step in steps:
        if lr is not None:
            optimizer.lr = float(lr) * (1 - step // 8 % 3 / 4)
        optimizer.zero_grad()
        case.give_gradients(pairs, step, (1.0, 10.0, 0.1)[step % 3])
        optimizer.step()
        optimizer.state_dict()


@check("optimizer", share=0.4)
def state_is_as_exact_as_the_parameters(case: OptimizerCase) -> None:
    """What is kept for a parameter has its dtype, so that nothing is rounded between the steps."""
    for dtype in (torch.float64, torch.float32):
        pairs = case.pairs(dtype)
        optimizer = case.optimizer(pairs)
        run(case, optimizer, pairs, range(3))
        shapes = {parameter.shape for parameter, _ in pairs if parameter.dim()}
        for tensor in _kept(optimizer):
            wrong = tensor.is_floating_point() and tensor.shape in shapes and tensor.dtype != dtype
            require(not wrong, f"for parameters of {dtype} it keeps a tensor of {tensor.dtype} of a parameter's shape")


def _kept(optimizer: Optimizer) -> list[Tensor]:
    return [*reachable_tensors(optimizer).values(), *optimizer.state_dict().values()]


@check("optimizer", share=0.5)
def descends(case: OptimizerCase) -> None:
    """On a convex quadratic |p|^2 / 2, with a small learning rate, it goes on descending for hundreds of steps.

    Where steps draw random numbers it is 150 |p|^2, whose slope is stronger than they are, and lower only in the end.
    """
    has_lr(case)
    pairs = case.pairs()
    for parameter, _ in pairs:
        # Not so near to the minimum that it could be reached.
        parameter.copy_(torch.where(parameter < 0, parameter - 1, parameter + 1))
    if not any(parameter.numel() for parameter, _ in pairs):
        not_applicable("there is nothing to descend with")
    optimizer = case.optimizer(pairs)
    optimizer.lr = 1e-5

    def height() -> float:
        return sum(float(parameter.square().sum()) for parameter, _ in pairs)

    before = height()
    slope, every = (300, 320) if case.spec.random_steps else (1, 40)
    for step in range(320):
        for parameter, gradient in pairs:
            gradient.copy_(slope * parameter)
        optimizer.step()
        if step % every == every - 1:
            if height() >= before:
                message = f"on a convex quadratic it climbs, or stands still, in the steps up to the {step + 1}th"
                raise CheckFailed(message, analytic=height(), numeric=before)
            before = height()
