"""What a layer declares is true, both ways, and what it does not declare does not happen."""

from __future__ import annotations

import torch
from torch import Tensor

from layerkit.contracts.module import Module
from layerkit.testing.cases.case import LayerCase
from layerkit.testing.check import CheckFailed, check, not_applicable
from layerkit.testing.instruments.comparison import require_close
from layerkit.testing.instruments.numerics import has_kink_along
from layerkit.testing.instruments.passes import Frozen, backward, forward, gradients_of, run_pass


@check("layer", share=0.6)
def undeclared_randomness(case: LayerCase) -> None:
    """A layer that is not declared ``stochastic`` gives the same output for the same input, again and again."""
    if case.declares("stochastic"):
        not_applicable("the layer is declared stochastic")
    difference = _between_calls(case)
    if difference is not None:
        raise CheckFailed(f"two forwards of one input differ by {difference:.3g}: declare stochastic, or find out why")


@check("layer", witness=True)
def declared_randomness(case: LayerCase) -> bool:
    """A layer that is declared ``stochastic`` gives different outputs for the same input, in some example."""
    if not case.spec.stochastic:
        not_applicable("the layer is not declared stochastic")
    return _between_calls(case) is not None


def _between_calls(case: LayerCase) -> float | None:
    layer, x = case.layer(), case.input()
    frozen = Frozen(layer)
    first = forward(layer, x).clone()
    # A running average may move, and what depends on it then is not chance.
    frozen.restore_buffers()
    return _difference(first, forward(layer, x))


def _difference(first: Tensor, second: Tensor, tolerance: float = 1e-9) -> float | None:
    if first.shape != second.shape:
        return torch.inf
    difference = float((first - second).abs().nan_to_num(nan=torch.inf).max()) if first.numel() else 0.0
    return difference if difference > tolerance * (1 + float(first.abs().max() if first.numel() else 0)) else None


@check("layer", share=0.6, large=1)
def undeclared_modes(case: LayerCase) -> None:
    """A layer that is not declared ``modal`` gives the same output in training and in evaluation."""
    if case.declares("modal"):
        not_applicable("the layer is declared modal")
    difference = _between_modes(case)
    if difference is not None:
        raise CheckFailed(f"training and evaluation mode differ by {difference:.3g}: declare modal, or find out why")


@check("layer", witness=True)
def declared_modes(case: LayerCase) -> bool:
    """A layer that is declared ``modal`` gives another output in evaluation than in training, in some example."""
    if not case.spec.modal:
        not_applicable("the layer is not declared modal")
    return _between_modes(case) is not None


def _between_modes(case: LayerCase) -> float | None:
    """Return by how much the modes differ, of a new layer or else of one that has been trained for a while."""
    x = case.input()
    for steps in (0, 3):
        training, evaluation = _trained(case, steps), _trained(case, steps).eval()
        difference = _difference(forward(training, x), forward(evaluation, x))
        if difference is not None:
            return difference
    return None


def _trained(case: LayerCase, steps: int) -> Module:
    layer = case.layer()
    for step in range(steps):
        run_pass(layer, case.input(purpose=f"step {step}"), case.cotangent)
        for parameter, gradient in layer.param():
            parameter.sub_(0.01 * gradient)
    return layer


@check("layer", share=0.6, large=1)
def undeclared_mixing(case: LayerCase) -> None:
    """Unless ``mixes_batch`` is declared, a sample's output and gradient depend on no other sample."""
    if case.declares("mixes_batch"):
        not_applicable("the layer is declared to mix the batch")
    fault = _mixing(case)
    if fault:
        raise CheckFailed(f"{fault}: declare mixes_batch, or find out why")


@check("layer", witness=True)
def declared_mixing(case: LayerCase) -> bool:
    """A layer that is declared to mix the batch does so, in some example."""
    if case.layer().mixes_batch != case.spec.mixes_batch:
        raise CheckFailed(f"mixes_batch is {case.spec.mixes_batch} on the spec and not on the module; they must agree")
    if not case.spec.mixes_batch:
        not_applicable("the layer is not declared to mix the batch")
    return bool(_mixing(case))


def _mixing(case: LayerCase) -> str:
    """Return what of the first sample changes when all others do."""
    frozen = Frozen(case.layer())
    batch = max(case.batch, 2)
    x, other = case.input(batch), case.input(batch, purpose="other")
    other[0] = x[0]
    output = frozen.forward(x).clone()
    cotangent = case.cotangent(output)
    done = frozen.run_pass(x, cotangent)
    changed = case.cotangent(output, "other cotangent")
    changed[0] = cotangent[0]
    again = frozen.run_pass(other, changed)
    if _difference(done.output[0], again.output[0]) is not None:
        return "the output of one sample changes with the others"
    if _difference(done.grad_input[0], again.grad_input[0]) is not None:
        return "the gradient of one sample changes with the others"
    return ""


@check("layer", share=0.4)
def samples_add_up(case: LayerCase) -> None:
    """A batch gives what its samples give one by one: outputs side by side, and parameters' gradients summed."""
    if case.declares("mixes_batch") or case.declares("stochastic"):
        not_applicable("the layer is declared to mix the batch or to be stochastic")
    layer, x = case.layer(), case.input()
    frozen = Frozen(layer)
    done = frozen.run_pass(x, case.cotangent)
    cotangent = case.cotangent(done.output)
    layer.zero_grad()
    for index in range(case.batch):
        output = frozen.forward(x[index : index + 1])
        require_close(output, done.output[index : index + 1], "a sample alone gives another output than in a batch")
        grad_input = backward(layer, cotangent[index : index + 1])
        require_close(grad_input, done.grad_input[index : index + 1], "a sample alone has another gradient")
    for name, gradient in gradients_of(layer).items():
        require_close(gradient, done.gradients[name], f"the gradient of {name} is not the sum over the samples", 1e-8)


@check("layer", share=0.5)
def undeclared_kinks(case: LayerCase) -> None:
    """A layer that is not declared ``kinked`` is smooth along every line."""
    if case.declares("kinked"):
        not_applicable("the layer is declared kinked")
    if _kink_along_a_line(case):
        raise CheckFailed("the output has a kink or a jump: declare kinked, or find out why")


@check("layer", witness=True)
def declared_kinks(case: LayerCase) -> bool:
    """A layer that is declared ``kinked`` has a kink, in some example."""
    if not case.spec.kinked:
        not_applicable("the layer is not declared kinked")
    return _kink_along_a_line(case)


def _kink_along_a_line(case: LayerCase) -> bool:
    frozen, x = Frozen(case.layer()), case.input()
    direction = case.normal("direction", *x.shape)
    function = frozen.differentiable(x)
    cotangent = case.cotangent(function(x))
    return has_kink_along(lambda t: float((cotangent * function(x + t * direction)).sum()))
