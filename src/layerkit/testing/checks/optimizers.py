"""The battery of optimizers."""

from __future__ import annotations

import torch
from torch import Tensor

from layerkit.contracts.optimizer import Optimizer
from layerkit.errors import CheckpointError
from layerkit.testing.cases.case import OptimizerCase
from layerkit.testing.check import CheckFailed, check, not_applicable, require
from layerkit.testing.instruments.comparison import require_close, require_same_bits
from layerkit.testing.instruments.observation import (
    held_bytes,
    held_items,
    nothing_global_touched,
    nothing_opened,
)

Pairs = list[tuple[Tensor, Tensor]]


def steps(case: OptimizerCase, optimizer: Optimizer, pairs: Pairs, numbers: range) -> None:
    """Make steps, each with the random gradients of its number."""
    for step in numbers:
        case.give_gradients(pairs, step)
        optimizer.step()


def has_lr(case: OptimizerCase) -> float:
    """Return the learning rate of the configuration; a check of it is not applicable where there is none."""
    if "lr" not in type(case.spec).model_fields:
        not_applicable("the optimizer has no field lr")
    return float(case.spec.model_dump()["lr"])


def _after(case: OptimizerCase, count: int, dtype: torch.dtype = torch.float64) -> Pairs:
    pairs = case.pairs(dtype)
    steps(case, case.optimizer(pairs), pairs, range(count))
    return pairs


@check("optimizer", large=0.5)
def steps_in_place(case: OptimizerCase) -> None:
    """``step`` changes the given parameters in place, and does not change their gradients, shapes and dtypes.

    However large the gradients are, it neither shortens them in place nor makes a parameter infinite.
    """
    for dtype, size in ((torch.float64, 1.0), (torch.float32, 1.0), (torch.float64, 1e6), (torch.float64, 1e-6)):
        pairs = case.pairs(dtype)
        optimizer = case.optimizer(pairs)
        places = [(parameter.data_ptr(), parameter.stride()) for parameter, _ in pairs]
        case.give_gradients(pairs, 0, size)
        gradients = [gradient.clone() for _, gradient in pairs]
        optimizer.step()
        for (parameter, gradient), held, place, kept in zip(
            pairs, optimizer.parameters, places, gradients, strict=True
        ):
            same = parameter is held and parameter.data_ptr() == place[0]
            require(same, "step puts another tensor in a parameter's place")
            require(parameter.stride() == place[1], "step puts a parameter into another order in memory")
            require(
                parameter.dtype == dtype and bool(parameter.isfinite().all()),
                "a parameter is not finite, or of another dtype",
            )
            require_same_bits(gradient, kept, "step changes a gradient")


@check("optimizer", witness=True)
def steps_change_parameters(case: OptimizerCase) -> bool:
    """A step with gradients that are not zero changes every parameter, in some example."""
    before, after = case.pairs(), _after(case, 3)
    return all(not torch.equal(old, new) for (old, _), (new, _) in zip(before, after, strict=True))


@check("optimizer")
def lr_zero_changes_nothing(case: OptimizerCase) -> None:
    """With a learning rate of zero, set at the start or later, no step changes any parameter."""
    has_lr(case)
    try:
        pairs = case.pairs()
        optimizer = case.optimizer(pairs, lr=0.0)
    except Exception:
        optimizer = case.optimizer(pairs := case.pairs())
        optimizer.lr = 0.0
    values = [parameter.clone() for parameter, _ in pairs]
    steps(case, optimizer, pairs, range(4))
    for (parameter, _), value in zip(pairs, values, strict=True):
        require_same_bits(parameter, value, "with lr = 0 a parameter changes")


@check("optimizer")
def lr_may_change(case: OptimizerCase) -> None:
    """Setting ``lr`` between steps has an effect: the next step uses it."""
    lr = has_lr(case)
    pairs = case.pairs()
    optimizer = case.optimizer(pairs)
    require(optimizer.lr == lr, f"the field lr is {lr}, and the optimizer's is {optimizer.lr}")
    steps(case, optimizer, pairs, range(2))
    values = [parameter.clone() for parameter, _ in pairs]
    optimizer.lr = 0.0
    steps(case, optimizer, pairs, range(2, 4))
    for (parameter, _), value in zip(pairs, values, strict=True):
        require_same_bits(parameter, value, "lr was set to 0 between steps, and a parameter changes")


@check("optimizer")
def zero_grad_clears(case: OptimizerCase) -> None:
    """``zero_grad`` sets every gradient to zero in place, infinities included."""
    pairs = case.pairs()
    optimizer = case.optimizer(pairs)
    for _, gradient in pairs:
        gradient.fill_(torch.inf)
    optimizer.zero_grad()
    for (_, gradient), held in zip(pairs, optimizer.gradients, strict=True):
        require(gradient is held and not bool(gradient.any()), "zero_grad leaves a gradient that is not zero")


@check("optimizer", large=0.5)
def gradients_are_read_when_stepping(case: OptimizerCase) -> None:
    """Each step uses the values of the gradients at that time, and for each parameter only its own gradient.

    An optimizer that declares ``couples_parameters`` or ``random_steps`` may treat a parameter otherwise beside others.
    """
    expected = _after(case, 3)
    pairs = case.pairs()
    optimizer = case.optimizer(pairs)
    for step in range(3):
        for _, gradient in pairs:
            gradient.fill_(7.0)
        steps(case, optimizer, pairs, range(step, step + 1))
    for (parameter, _), (value, _) in zip(pairs, expected, strict=True):
        require_same_bits(parameter, value, "what stood in the gradients before a step has changed it")
    if case.spec.couples_parameters or case.spec.random_steps:
        return
    for index in range(len(expected)):
        pairs = case.pairs()[index : index + 1]
        optimizer = case.optimizer(pairs)
        for step in range(3):
            pairs[0][1].copy_(case.normal(f"gradient {step}/{index}", *pairs[0][1].shape))
            optimizer.step()
        require_close(pairs[0][0], expected[index][0], "beside others a parameter is changed in another way than alone")


@check("optimizer", large=0.5)
def order_does_not_matter(case: OptimizerCase) -> None:
    """With the parameters given in the reverse order each one changes in the same way."""
    if case.spec.random_steps:
        not_applicable(f"the steps draw random numbers: {case.spec.random_steps}")
    expected = _after(case, 4)
    pairs = case.pairs()
    optimizer = case.optimizer(pairs[::-1])
    steps(case, optimizer, pairs, range(4))
    for (parameter, _), (value, _) in zip(pairs, expected, strict=True):
        require_close(parameter, value, "in the reverse order a parameter changes in another way")


@check("optimizer", share=0.5)
def wrong_optimizer_state_is_refused(case: OptimizerCase) -> None:
    """A state with a name missing or too many, or of a wrong shape, is a CheckpointError."""
    optimizer = case.optimizer(case.pairs())
    state = {name: value.clone() for name, value in optimizer.state_dict().items()}
    wrong = [state | {"nobody": torch.zeros(1)}]
    for name, value in state.items():
        wrong.append({key: its for key, its in state.items() if key != name})
        wrong.append(state | {name: torch.zeros(*value.shape, 2)})
    for bad in wrong:
        try:
            optimizer.load_state_dict(bad)
        except CheckpointError:
            continue
        except Exception as error:
            raise CheckFailed(f"a wrong state is {type(error).__name__}, not CheckpointError") from None
        raise CheckFailed("a wrong state is accepted")


@check("optimizer", large=0.5)
def any_parameters(case: OptimizerCase) -> None:
    """It works with an empty list of parameters, with empty parameters, and with ones that are not contiguous."""
    empty = case.optimizer([])
    empty.step()
    empty.zero_grad()
    expected = _after(case, 2)
    laid_out = [(_reversed(parameter), _reversed(gradient)) for parameter, gradient in case.pairs()]
    nothing = (torch.zeros(0, 3, dtype=torch.float64), torch.zeros(0, 3, dtype=torch.float64))
    steps(case, case.optimizer([*laid_out, nothing]), laid_out, range(2))
    if case.spec.random_steps:
        return  # what is drawn for each value may follow the order in memory
    for (parameter, _), (value, _) in zip(laid_out, expected, strict=True):
        require_close(parameter, value, "a parameter that is not contiguous changes in another way")


def _reversed(tensor: Tensor) -> Tensor:
    order = tuple(reversed(range(tensor.dim())))
    return tensor.permute(order).contiguous().permute(order)


@check("optimizer", share=0.5)
def optimizer_keeps_to_itself(case: OptimizerCase) -> None:
    """Two optimizers have nothing in common, nothing global is touched, no graph is recorded, nothing grows."""
    expected, pairs, others = _after(case, 4), case.pairs(), case.pairs()
    optimizer, other = case.optimizer(pairs), case.optimizer(others)
    with nothing_global_touched("a step"), nothing_opened("a step"), torch.enable_grad():
        for step in range(4):
            case.give_gradients(others, step + 10)
            other.step()
            case.give_gradients(pairs, step)
            optimizer.step()
    for (parameter, _), (value, _) in zip(pairs, expected, strict=True):
        require_same_bits(parameter, value, "another optimizer of the class changes what this one does")
        require(not parameter.requires_grad, "a parameter hangs on an autograd graph")
    held, items = held_bytes(optimizer), held_items(optimizer)
    steps(case, optimizer, pairs, range(4, 9))
    require(held_bytes(optimizer) <= held and held_items(optimizer) <= items, "it keeps more with every step")
