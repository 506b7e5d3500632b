"""The heart of the kit: hand-written gradients against differences in float64."""

from __future__ import annotations

import torch
from torch import Tensor

from layerkit.testing.cases.case import LayerCase
from layerkit.testing.check import CheckFailed, Rejected, check, not_applicable, require
from layerkit.testing.instruments.comparison import require_close
from layerkit.testing.instruments.guesses import guess
from layerkit.testing.instruments.kinks import sides_are_ends
from layerkit.testing.instruments.numerics import check_directions, has_gap, jacobian, one_sided
from layerkit.testing.instruments.passes import Frozen, Pass

SMALL = 40
"""A whole Jacobian is computed where neither input nor output has more values than this."""


def counts_of(case: LayerCase, output: Tensor) -> dict[str, int]:
    """Return the numbers that people divide or multiply a gradient by when they should not."""
    counts = {"batch size": case.batch, "number of output values": output.numel()}
    counts |= {"number of values in one output sample": output.numel() // max(case.batch, 1)}
    counts |= {f"output dimension {index}": size for index, size in enumerate(output.shape) if index}
    return counts | {f"input dimension {index + 1}": size for index, size in enumerate(case.input_shape)}


def check_gradients(case: LayerCase, frozen: Frozen, x: Tensor, cotangent: Tensor, done: Pass, which: str) -> None:
    """Hold the gradients of a pass against differences: the input's, or every parameter's."""
    layer, kinked, function = frozen.layer, case.declares("kinked"), frozen.differentiable(x)
    counts, directions = counts_of(case, done.output), case.generator("directions")
    if which == "input":
        require_input_gradient_shape(done, x)
        check_directions(
            lambda: function(x),
            x,
            done.grad_input,
            cotangent,
            "the gradient of the input",
            directions,
            kinked=kinked,
            counts=counts,
            samples=True,
        )
        return
    for name, (parameter, _) in layer.named_param().items():
        check_directions(
            lambda: function(x),
            parameter,
            done.gradients[name],
            cotangent,
            f"the gradient of {name}",
            directions,
            kinked=kinked,
            counts=counts,
        )


def require_input_gradient_shape(done: Pass, x: Tensor) -> None:
    """Fail unless the gradient of the input has the input's shape."""
    given, expected = tuple(done.grad_input.shape), tuple(x.shape)
    require(given == expected, f"the gradient of the input is {given} and should be {expected} like the input")


SPREADS = (12.0, 4.0, 0.25)
"""Inputs are this much larger at times, for what saturates or is cut off must be reached as well."""


def _one_pass(case: LayerCase, spread: float = 1.0) -> tuple[Frozen, Tensor, Tensor, Pass]:
    layer, x = case.layer(), spread * case.input()
    frozen = Frozen(layer)
    output = frozen.forward(x)
    cotangent = case.cotangent(output)
    return frozen, x, cotangent, frozen.run_pass(x, cotangent)


@check("layer")
def input_gradient(case: LayerCase) -> None:
    """<backward(u), v> is the central difference of <u, forward> along v, for the input.

    u is random, for with ones many mistakes cannot be seen; at least four directions v, one of them a single value.
    Each case is tried once with values around 1 and once with larger or smaller ones.
    """
    for spread in (1.0, SPREADS[case.seed % len(SPREADS)]):
        frozen, x, cotangent, done = _one_pass(case, spread)
        check_gradients(case, frozen, x, cotangent, done, "input")


@check("layer")
def parameter_gradients(case: LayerCase) -> None:
    """<gradient, v> is the central difference of <u, forward> along v, for each parameter by name."""
    frozen, x, cotangent, done = _one_pass(case)
    if not done.gradients:
        not_applicable("the layer has no parameters")
    check_gradients(case, frozen, x, cotangent, done, "parameters")


@check("layer", share=0.4)
def jacobian_of_small_inputs(case: LayerCase) -> None:
    """On small shapes every entry of every Jacobian, of the input and of each parameter, is its central difference.

    The rows come from backward with a single one as its gradient, so that mistakes cannot cancel in a sum.
    """
    layer, x = case.layer(), case.input(min(case.batch, 2))
    frozen = Frozen(layer)
    output = frozen.forward(x)
    tensors = {"input": x} | {name: parameter for name, (parameter, _) in layer.named_param().items()}
    if max(output.numel(), *(tensor.numel() for tensor in tensors.values())) > SMALL:
        not_applicable(f"no example had at most {SMALL} values in input, output and parameters")
    rows: dict[str, list[Tensor]] = {name: [] for name in tensors}
    for index in range(output.numel()):
        one = torch.zeros(output.shape, dtype=output.dtype)
        one.view(-1)[index] = 1.0
        done = frozen.run_pass(x, one)
        for name in tensors:
            rows[name].append((done.grad_input if name == "input" else done.gradients[name]).reshape(-1))
    function = frozen.differentiable(x)
    for name, tensor in tensors.items():
        numeric = jacobian(lambda: function(x), tensor)
        analytic = torch.stack(rows[name])
        tolerance = 1e-6 * numeric.abs() + 1e-7 * (1e-2 + output.abs().max() + numeric.abs().max())
        if bool(((analytic - numeric).abs() <= tolerance).all()):
            continue
        if case.declares("kinked") and _kink_in_a_coordinate(frozen, x, tensor, case.cotangent(output)):
            raise Rejected
        # A steep function needs a smaller step than a flat one; along directions several are tried.
        _recheck(case, frozen, x, tensor, name, analytic, numeric, output)


def _kink_in_a_coordinate(frozen: Frozen, x: Tensor, tensor: Tensor, cotangent: Tensor) -> bool:
    function = frozen.differentiable(x)
    for index in range(tensor.numel()):
        direction = torch.zeros_like(tensor, memory_format=torch.contiguous_format)
        direction.view(-1)[index] = 1.0
        if has_gap(lambda: function(x), tensor, direction, cotangent):
            return True
    return False


def _recheck(
    case: LayerCase,
    frozen: Frozen,
    x: Tensor,
    tensor: Tensor,
    name: str,
    analytic: Tensor,
    numeric: Tensor,
    output: Tensor,
) -> None:
    worst = int((analytic - numeric).abs().nan_to_num(nan=torch.inf).max(1).values.argmax())
    one = torch.zeros(output.shape, dtype=output.dtype)
    one.view(-1)[worst] = 1.0
    row = analytic[worst].reshape(tensor.shape)
    what = f"the gradient of the {name} for a gradient of one at output value {worst}"
    counts, directions = counts_of(case, output), case.generator("directions")
    function = frozen.differentiable(x)
    for _ in range(3):
        check_directions(lambda: function(x), tensor, row, one, what, directions, counts=counts)
    column = int((analytic[worst] - numeric[worst]).abs().argmax())
    if (analytic - numeric).abs().max() > 1e-4 * (1 + numeric.abs().max()):
        raise CheckFailed(
            f"the Jacobian of the {name} is wrong at row {worst}, column {column}",
            analytic=float(analytic[worst, column]),
            numeric=float(numeric[worst, column]),
            guess=guess(analytic, numeric, counts),
        )


@check("layer", share=0.6)
def backward_is_linear(case: LayerCase) -> None:
    """backward(0) is exactly zero, backward(a u + b w) is a backward(u) + b backward(w); the parameters' gradients too.

    Backward is the transpose of a matrix that depends on the input alone; a mask by the sign of the gradient, or a
    derivative taken of it, is not.
    """
    layer, x = case.layer(), case.input()
    frozen = Frozen(layer)
    output = frozen.forward(x)
    u, w = case.cotangent(output), case.cotangent(output, "second cotangent")
    zero = frozen.run_pass(x, torch.zeros(output.shape, dtype=output.dtype))
    for name, gradient in _named(zero).items():
        require(not bool(gradient.any()), f"backward of zeros gives a gradient of {name} that is not exactly zero")
    first, second = _named(frozen.run_pass(x, u)), _named(frozen.run_pass(x, w))
    together = _named(frozen.run_pass(x, 3.0 * u - 0.5 * w))
    for name in first:
        require_close(together[name], 3.0 * first[name] - 0.5 * second[name], f"backward is not linear in {name}", 1e-8)


def _named(done: Pass) -> dict[str, Tensor]:
    return {"the input": done.grad_input, **done.gradients}


@check("layer", share=0.6)
def kink_convention(case: LayerCase) -> None:
    """At a kink backward gives a value between the one-sided derivatives, and the one that ``kinks()`` declares.

    Tried at zeros, at ties and at the declared points. At a tie of sorted values, where one-sided derivatives are not
    the ends of what is near, they are not asked for; see :mod:`layerkit.testing.instruments.kinks`.
    """
    if not case.spec.kinked:
        not_applicable("the layer declares no kinks of its own")
    layer = case.layer()
    frozen = Frozen(layer)
    ties = torch.randint(-1, 2, (case.batch, *case.input_shape), generator=case.generator("ties")).double()
    for x in (torch.zeros_like(ties), ties):
        output = frozen.forward(x)
        # Not negative, so that what lies between for each output does so for their sum.
        cotangent = case.cotangent(output).abs()
        done = frozen.run_pass(x, cotangent)
        for index in torch.randperm(x.numel(), generator=case.generator("coordinates"))[:6]:
            direction = torch.zeros_like(x)
            direction.view(-1)[index] = 1.0
            _require_between(case, frozen, x, direction, cotangent, done.grad_input)
        _require_between(case, frozen, x, torch.ones_like(x), cotangent, done.grad_input)
    for point, slope in case.spec.kinks().items():
        x = torch.full((max(case.batch, 1), *case.input_shape), float(point), dtype=torch.float64)
        cotangent = case.cotangent(x)
        done = frozen.run_pass(x, cotangent)
        require_close(done.grad_input, cotangent * slope, f"at {point:g} the declared slope is {slope:g}")


def _require_between(
    case: LayerCase, frozen: Frozen, x: Tensor, direction: Tensor, cotangent: Tensor, gradient: Tensor
) -> None:
    function = frozen.differentiable(x)

    def evaluate() -> Tensor:
        return function(x)

    left, right = sides = one_sided(evaluate, x, direction, cotangent)
    given = float((gradient * direction).sum())
    margin = 1e-5 * (1 + abs(left) + abs(right))
    if min(sides) - margin <= given <= max(sides) + margin:
        return
    if sides_are_ends(evaluate, x, direction, cotangent, sides, case.generator("near the kink")):
        nearer = left if abs(given - left) < abs(given - right) else right
        raise CheckFailed(
            f"at a kink the gradient must lie between the one-sided derivatives {left:.6g} and {right:.6g}",
            analytic=given,
            numeric=nearer,
        )
