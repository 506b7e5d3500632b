"""How numbers lie in memory, and how many bits they have, does not change what they are."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from layerkit.contracts.module import Module
from layerkit.testing.cases.case import LayerCase
from layerkit.testing.check import check, not_applicable, require
from layerkit.testing.instruments.comparison import require_close, require_same_bits
from layerkit.testing.instruments.layouts import LAYOUTS, expanded
from layerkit.testing.instruments.observation import reachable_tensors
from layerkit.testing.instruments.passes import Frozen, Pass, forward, run_pass

EPSILON = torch.finfo(torch.float32).eps


@check("layer", share=0.6)
def any_layout_of_the_input(case: LayerCase) -> None:
    """A transposed, sliced, strided, expanded or channels-last input gives what the contiguous one gives."""
    x, frozen = case.input(), Frozen(case.layer())
    if case.declares("stochastic"):
        _evaluations_agree(case, x)
        return
    expected = frozen.run_pass(x, case.cotangent)
    for layout, lay_out in LAYOUTS.items():
        _require_same(frozen.run_pass(lay_out(x), case.cotangent), expected, f"for an input that is {layout}")
    repeated = expanded(x)
    expected = frozen.run_pass(repeated.contiguous(), case.cotangent)
    _require_same(frozen.run_pass(repeated, case.cotangent), expected, "for an input that is expanded")


def _evaluations_agree(case: LayerCase, x: Tensor) -> None:
    """What is drawn for each value may follow the layout, so that only evaluation can be compared."""
    layer = case.layer().eval()
    expected = forward(layer, x)
    for layout, lay_out in LAYOUTS.items():
        run_pass(case.layer(), lay_out(x), case.cotangent)
        require_close(forward(layer, lay_out(x)), expected, f"for an input that is {layout} the output is another")


@check("layer", share=0.6)
def any_layout_of_the_gradient(case: LayerCase) -> None:
    """A transposed, sliced, strided, expanded or channels-last gradient gives what the contiguous one gives."""
    x, frozen = case.input(), Frozen(case.layer())
    cotangent = case.cotangent(frozen.forward(x)).contiguous()
    expected = frozen.run_pass(x, cotangent)
    for layout, lay_out in LAYOUTS.items():
        if layout != "with the last two dimensions transposed" or cotangent.dim() > 2:
            _require_same(frozen.run_pass(x, lay_out(cotangent)), expected, f"for a gradient that is {layout}")
    for name, repeated in (
        ("expanded over the batch", expanded(cotangent)),
        ("one number everywhere", cotangent.new_full((), 0.7).expand_as(cotangent)),
    ):
        expected = frozen.run_pass(x, repeated.contiguous())
        _require_same(frozen.run_pass(x, repeated), expected, f"for a gradient that is {name}")


def _require_same(done: Pass, expected: Pass, when: str) -> None:
    require_close(done.output, expected.output, f"{when} the output is another")
    require_close(done.grad_input, expected.grad_input, f"{when} the gradient of the input is another")
    for name, gradient in expected.gradients.items():
        require_close(done.gradients[name], gradient, f"{when} the gradient of {name} is another")


@check("layer", share=0.6, large=0.5)
def float32_agrees_with_float64(case: LayerCase) -> None:
    """In float32 all results are as in float64, apart from rounding.

    How much rounding may do is measured: inputs and weights are shaken in their last float32 bit, and what that does to
    the float64 result is the scale; a formula that loses more is not stable.
    """
    if case.declares("stochastic"):
        not_applicable("torch draws other numbers for another dtype")
    x, layer = case.input(dtype=torch.float32), case.layer(torch.float32)
    single = _as_float64(run_pass(layer, x, case.cotangent))
    double = case.layer(torch.float64)
    _copy_parameters(layer, double)
    exact = Frozen(double)
    cotangent = case.cotangent(single.output).float().double()
    expected = exact.run_pass(x.double(), cotangent)
    single = _as_float64(_again(case, x, cotangent.float()))
    tolerances = _rounding(case, exact, double, x.double(), cotangent, expected)
    names = ["the output", "the gradient of the input", *(f"the gradient of {name}" for name in expected.gradients)]
    for name, given, truth, tolerance in zip(names, _tensors(single), _tensors(expected), tolerances, strict=True):
        require_close(given, truth, f"in float32 {name} is not what it is in float64", tolerance)


def _again(case: LayerCase, x: Tensor, cotangent: Tensor) -> Pass:
    return run_pass(case.layer(torch.float32), x, cotangent)


def _copy_parameters(source: Module, target: Module) -> None:
    for (mine, _), (its, _) in zip(target.param(), source.param(), strict=True):
        mine.copy_(its)


def _tensors(done: Pass) -> list[Tensor]:
    return [done.output, done.grad_input, *done.gradients.values()]


def _as_float64(done: Pass) -> Pass:
    gradients = {name: gradient.double() for name, gradient in done.gradients.items()}
    return Pass(done.output.double(), done.grad_input.double(), gradients)


def _rounding(
    case: LayerCase, frozen: Frozen, layer: Module, x: Tensor, cotangent: Tensor, expected: Pass
) -> list[Tensor]:
    """Return how far float32 may be from each of the tensors of ``expected``."""
    most = [torch.zeros_like(tensor) for tensor in _tensors(expected)]
    parameters = [parameter.clone() for parameter, _ in layer.param()]
    for trial in range(3):
        generator = case.generator(f"shake {trial}")

        def shaken(value: Tensor, generator: torch.Generator = generator) -> Tensor:
            signs = torch.randint(0, 2, value.shape, generator=generator, dtype=torch.float64) * 2 - 1
            return value * (1 + EPSILON * signs)

        for (parameter, _), value in zip(layer.param(), parameters, strict=True):
            parameter.copy_(shaken(value))
        other = frozen.run_pass(shaken(x), shaken(cotangent))
        changes = [(a - b).abs() for a, b in zip(_tensors(other), _tensors(expected), strict=True)]
        most = [torch.maximum(a, b) for a, b in zip(most, changes, strict=True)]
    for (parameter, _), value in zip(layer.param(), parameters, strict=True):
        parameter.copy_(value)
    # A gradient may be the small difference of large numbers, which keeps their rounding.
    numbers = [tensor for tensor in (x, cotangent, *_tensors(expected)) if tensor.numel()]
    floor = 32 * EPSILON * max((float(tensor.abs().max()) for tensor in numbers), default=0.0)
    # That of a parameter is a sum over all values of the output, and the rounding of n terms grows with their root.
    terms = [0, 0, *(expected.output.numel() / max(1, tensor.numel()) for tensor in expected.gradients.values())]
    floors = [floor * max(1.0, math.sqrt(count) / 8) for count in terms]
    return [
        (50 * change.max() + 200 * EPSILON * tensor.abs().max() + least).expand_as(tensor) if tensor.numel() else change
        for change, tensor, least in zip(most, _tensors(expected), floors, strict=True)
    ]


@check("layer", share=0.4)
def special_values_stay_finite(case: LayerCase) -> None:
    """For zeros, constants and large values float32 gives finite numbers wherever float64 does.

    An exponential of a large number, or a division by a spread that is zero, has a form that is safe.
    """
    shape = (case.batch, *case.input_shape)
    for what, x in (
        ("zeros", torch.zeros(shape, dtype=torch.float64)),
        ("a constant", torch.full(shape, 0.75, dtype=torch.float64)),
        ("values around 50", 50 * case.normal("large", *shape)),
    ):
        exact = run_pass(case.layer(), x, case.cotangent)
        done = run_pass(case.layer(torch.float32), x.float(), case.cotangent)
        for name, single, double in zip(
            ["the output", "the gradient of the input", *exact.gradients], _tensors(done), _tensors(exact), strict=True
        ):
            require(bool(double.isfinite().all()), f"for {what} {name} is infinite or not a number")
            sane = bool((double.abs() < 1e30).all())
            require(not sane or bool(single.isfinite().all()), f"for {what} {name} is not finite in float32")


@check("layer", share=0.5)
def moves_with_to(case: LayerCase) -> None:
    """``.to(dtype=...)`` converts every tensor in place, for all holders of a parameter, and can be undone."""
    layer, x = case.fresh(torch.float32), case.input(dtype=torch.float32)
    output = forward(case.fresh(torch.float32), x)
    held = layer.param()
    places = [(id(parameter), id(gradient)) for parameter, gradient in held]
    require(layer.to(dtype=torch.float64) is layer, ".to() does not return the layer")
    require(places == [(id(p), id(g)) for p, g in layer.param()], ".to() put other tensors in place of the parameters")
    left = [t for t in reachable_tensors(layer).values() if t.dtype == torch.float32]
    require(
        not left,
        f".to(dtype=float64) leaves {len(left)} float32 tensors behind: add_buffer or add_parameter moves them",
    )
    done = run_pass(layer, x.double(), case.cotangent)
    require(done.output.dtype == torch.float64, f"after .to(dtype=float64) the output is {done.output.dtype}")
    layer = case.fresh(torch.float32).to(dtype=torch.float64).to(dtype=torch.float32)
    require_same_bits(forward(layer, x), output, "to float64 and back, the output is another")
