"""Where torch has the same layer, loss, optimizer or schedule, it agrees."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from layerkit.contracts.module import Module
from layerkit.testing.cases.case import LayerCase, LossCase, OptimizerCase, ScheduleCase
from layerkit.testing.check import CheckFailed, check, not_applicable, require
from layerkit.testing.instruments.comparison import require_close
from layerkit.testing.instruments.passes import run_pass
from layerkit.testing.instruments.statistics import is_off

NO_REFERENCE = "reference() names no torch namesake"


def _namesake(home: object, reference: tuple[str, dict[str, Any]], *first: object) -> Any:
    """Return the module, optimizer or scheduler of torch that a reference names; only then is its type known."""
    name, arguments = reference
    if not hasattr(home, name):
        raise CheckFailed(f"reference() names {name}, which torch does not have")
    return getattr(home, name)(*first, **arguments)


def _gradient(leaf: Tensor) -> Tensor:
    if leaf.grad is None:
        raise CheckFailed("torch's own gives no gradient to compare with")
    return leaf.grad


@check("layer", "loss", share=0.8, large=1)
def agrees_with_reference(case: LayerCase | LossCase) -> None:
    """The ``torch.nn`` module that ``reference()`` names gives the same output and, by autograd, the same gradients.

    In evaluation too, after several steps of training; where the layer is stochastic, on average in training.
    """
    if isinstance(case, LossCase):
        _loss_agrees(case)
    else:
        _layer_agrees(case)


def _layer_agrees(case: LayerCase) -> None:
    reference = case.spec.reference(case.input_shape)
    if reference is None:
        not_applicable(NO_REFERENCE)
    layer = case.layer()
    oracle = _namesake(nn, reference).to(torch.float64)
    _give_parameters(layer, oracle)
    if case.declares("stochastic"):
        _means_agree(case, layer, oracle)
    else:
        for step in range(3 if case.declares("modal") else 1):
            _passes_agree(case, layer, oracle, case.input(purpose=f"step {step}" if step else "input"))
    x = case.input(purpose="evaluated")
    require_close(layer.eval().forward(x), oracle.eval()(x), "in evaluation the output is not torch's")


def _passes_agree(case: LayerCase, layer: Module, oracle: nn.Module, x: Tensor) -> None:
    with torch.enable_grad():
        leaf = x.clone().requires_grad_()
        oracle.zero_grad()
        expected = oracle(leaf)
    done = run_pass(layer, x, case.cotangent)
    require_close(done.output, expected.detach(), "the output is not torch's")
    if not expected.requires_grad:
        return
    expected.backward(case.cotangent(done.output))
    require_close(done.grad_input, _gradient(leaf), "the gradient of the input is not torch's")
    for name, parameter in oracle.named_parameters():
        require_close(done.gradients[name], _gradient(parameter), f"the gradient of {name} is not torch's")


def _means_agree(case: LayerCase, layer: Module, oracle: nn.Module) -> None:
    """Two random generators do not agree, but what they give does on the average over outputs, and of their squares."""
    x = 1 + case.input().abs()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(case.seed)

        def difference(power: int, count: int, purpose: str) -> Tensor:
            passes = [(layer.forward(x) ** power - oracle(x) ** power).mean() for _ in range(count)]
            return torch.stack(passes)

        for power, what in ((1, "the mean"), (2, "the mean square")):
            off = is_off(partial(difference, power), 40)
            require(not off, f"over many passes {what} of the output is not that of torch's: it is off by {off:.3g}")


def _give_parameters(layer: Module, oracle: nn.Module) -> None:
    own, its = layer.named_param(), dict(oracle.named_parameters())
    require(own.keys() == its.keys(), f"the parameters are {sorted(own)}, and torch's are {sorted(its)}")
    for name, parameter in its.items():
        mine = own[name][0]
        same = parameter.shape == mine.shape
        require(same, f"the parameter {name} is {tuple(mine.shape)}, and torch's is {tuple(parameter.shape)}")
        parameter.copy_(mine)


def _loss_agrees(case: LossCase) -> None:
    reference = case.spec.reference()
    if reference is None:
        not_applicable(NO_REFERENCE)
    loss, prediction, target = case.loss(), case.prediction(), case.target()
    with torch.enable_grad():
        leaf = prediction.clone().requires_grad_()
        expected = _namesake(nn, reference)(leaf, target)
        expected.backward()
    require_close(loss.forward(prediction, target), expected.detach(), "the loss is not torch's")
    require_close(loss.backward(), _gradient(leaf), "the gradient is not torch's")


@check("optimizer", large=1)
def agrees_with_torch(case: OptimizerCase) -> None:
    """Over many steps the parameters are those that the ``torch.optim`` namesake makes of the same gradients.

    With gradients of any size, from 1e-6 to 1e6.
    """
    _steps_agree(case, 12, 10.0 ** (case.seed % 13 - 6))


@check("optimizer", most=2)
def agrees_with_torch_for_long(case: OptimizerCase) -> None:
    """Over hundreds of steps too, with a learning rate that falls."""
    _steps_agree(case, 520, 1.0)


def _steps_agree(case: OptimizerCase, steps: int, size: float) -> None:
    reference = case.spec.reference()
    if reference is None:
        not_applicable(NO_REFERENCE)
    pairs = case.pairs()
    theirs: list[Tensor] = [parameter.clone().requires_grad_() for parameter, _ in pairs]
    optimizer, oracle = case.optimizer(pairs), _namesake(torch.optim, reference, theirs)
    lr = optimizer.lr
    for step in range(steps):
        optimizer.lr = oracle.param_groups[0]["lr"] = lr * (1 - step / (2 * steps))
        case.give_gradients(pairs, step, size)
        for (_, gradient), parameter in zip(pairs, theirs, strict=True):
            parameter.grad = gradient.clone()
        optimizer.step()
        oracle.step()
        if step < 12 or step % 16 == 0 or step == steps - 1:
            for (parameter, _), expected in zip(pairs, theirs, strict=True):
                require_close(parameter, expected.detach(), f"after step {step + 1} a parameter is not torch's")


@check("schedule", large=1)
def agrees_with_scheduler(case: ScheduleCase) -> None:
    """The scheduler in ``torch.optim.lr_scheduler`` that ``reference()`` names gives the same factor at every step."""
    reference = case.spec.reference(case.steps)
    if reference is None:
        not_applicable("reference() names no scheduler of torch")
    optimizer = torch.optim.SGD([torch.zeros(())], lr=1.0)
    oracle = _namesake(torch.optim.lr_scheduler, reference, optimizer)
    schedule, torchs = case.schedule(), []
    for _ in range(case.steps):
        torchs.append(oracle.get_last_lr()[0])
        optimizer.step()
        oracle.step()
    own = [schedule.factor(step / case.steps) for step in range(case.steps)]
    given, expected = (torch.tensor(factors, dtype=torch.float64) for factors in (own, torchs))
    require_close(given, expected, "the factors are not torch's")
