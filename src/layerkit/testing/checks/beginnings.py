"""Gradients where much is equal or zero: at the initial values of the parameters, and for even inputs."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from layerkit.testing.cases.case import LayerCase
from layerkit.testing.check import CheckFailed, check, not_applicable
from layerkit.testing.checks.resuming import step_of
from layerkit.testing.instruments.numerics import check_jointly, check_where_smooth
from layerkit.testing.instruments.passes import Frozen


@check("layer", share=0.3)
def gradients_from_the_beginning(case: LayerCase) -> None:
    """With the initial values of the parameters, where zeros and ones hide much, every gradient is right as well."""
    _check_at(case, Frozen(case.fresh()), case.input(), check_jointly)


@check("layer", witness=True)
def learning_begins(case: LayerCase) -> bool:
    """From their initial values some steps move every parameter, in some example.

    Where two factors begin at zero each has a gradient of zero for ever, and neither is learned.
    """
    layer = case.fresh()
    if not layer.param():
        not_applicable("the layer has no parameters")
    begun = [parameter.clone() for parameter, _ in layer.param()]
    for step in range(6):
        list(step_of(case, layer, step))
    return not any(torch.equal(parameter, value) for (parameter, _), value in zip(layer.param(), begun, strict=True))


@check("layer", share=0.3)
def gradients_for_even_inputs(case: LayerCase) -> None:
    """For zeros, one number everywhere and samples that are equal the gradients are right wherever there is one."""
    if case.declares("kinked"):
        not_applicable("the layer is declared kinked, and kinks are where values are equal")
    for x in _even_inputs(case):
        frozen = Frozen(case.layer())
        _check_at(case, frozen, x, check_where_smooth)


def _even_inputs(case: LayerCase) -> Iterator[Tensor]:
    x = case.input()
    yield torch.zeros_like(x)
    yield torch.full_like(x, 0.75)
    yield x[:1].expand_as(x).contiguous()


def _check_at(case: LayerCase, frozen: Frozen, x: Tensor, hold: Callable[..., None]) -> None:
    """Hold the gradients of everything against one difference."""
    cotangent = case.cotangent(frozen.forward(x))
    done = frozen.run_pass(x, cotangent)
    tensors = {"the input": (x, done.grad_input)}
    tensors |= {name: (parameter, done.gradients[name]) for name, (parameter, _) in frozen.layer.named_param().items()}
    directions, function = case.generator("directions"), frozen.differentiable(x)
    hold(lambda: function(x), tensors, cotangent, directions, kinked=case.declares("kinked"))


@check("layer", share=0.4)
def float32_gradient_of_random_layers(case: LayerCase) -> None:
    """In float32 too backward of a stochastic layer belongs to the very numbers that forward has drawn.

    They are others than in float64, with which it cannot be compared, and so the gradient is held against a difference
    with a large step and what rounding leaves of it.
    """
    if not case.declares("stochastic"):
        not_applicable("the layer is not declared stochastic, and is compared with what it is in float64")
    # Over a large step a layer bends, and in float64, where the gradients are known to be right, as much as in float32.
    bent = min(abs(numeric - analytic) for analytic, numeric, _ in _large_steps(case, torch.float64))
    for analytic, numeric, scale in _large_steps(case, torch.float32):
        if abs(numeric - analytic) <= 5 * bent + 0.01 * abs(analytic) + 1e-3 * scale + 1e-4:
            return
    message = "in float32 the gradient of the input is not the difference, as it is in float64"
    raise CheckFailed(message, analytic=analytic, numeric=numeric)


def _large_steps(case: LayerCase, dtype: torch.dtype) -> list[tuple[float, float, float]]:
    """Return, for each of some steps, the derivative by backward and by a difference, and the size of its summands."""
    x, direction = case.input(dtype=dtype), case.normal("direction", *case.input().shape, dtype=dtype)
    frozen = Frozen(case.layer(dtype))
    cotangent = case.cotangent(frozen.forward(x))
    products = frozen.run_pass(x, cotangent).grad_input * direction
    found, function = [], frozen.differentiable(x)
    for step in (2**-7, 2**-9):
        above, below = function(x + step * direction).clone(), function(x - step * direction).clone()
        numeric = float((cotangent * (above - below)).double().sum()) / (2 * step)
        found.append((float(products.sum()), numeric, float(products.abs().sum())))
    return found
