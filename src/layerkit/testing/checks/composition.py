"""A layer inside others: its gradient is handed on, added to others, and asked for again."""

from __future__ import annotations

import torch
from torch import Tensor

from layerkit.builtin.layers.sequential import Sequential
from layerkit.contracts.module import Module
from layerkit.contracts.specs import LayerSpec
from layerkit.testing.cases.case import LayerCase
from layerkit.testing.cases.strategies import accepts
from layerkit.testing.check import check
from layerkit.testing.checks.gradients import check_gradients
from layerkit.testing.instruments.comparison import require_close
from layerkit.testing.instruments.passes import Frozen, Pass, backward, forward, run_pass


class Bend(Module):
    """y = x + 0.1 x^2 times a learned number a channel: smooth, simple, and wrong for no input."""

    slope: Tensor
    slope_grad: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.add_parameter("slope", torch.linspace(0.7, 1.3, channels, dtype=torch.float64))

    def _scale(self, x: Tensor) -> Tensor:
        return self.slope.view(-1, *(1,) * (x.dim() - 2))

    def forward(self, x: Tensor) -> Tensor:
        """Return a tensor of the shape of ``x`` (N, channels, ...)."""
        self.save(x.clone())
        return (x + 0.1 * x * x) * self._scale(x)

    def backward(self, grad_output: Tensor) -> Tensor:
        """Return (1 + 0.2 x) slope grad_output."""
        x: Tensor
        (x,) = self.saved()
        self.slope_grad.add_(((x + 0.1 * x * x) * grad_output).transpose(0, 1).flatten(1).sum(1))
        return (1 + 0.2 * x) * self._scale(x) * grad_output


class Sum(Module):
    """y = x + inner(x), or 2 inner(x) where the shapes differ: the gradient is used twice."""

    def __init__(self, inner: Module) -> None:
        super().__init__()
        self.inner = inner
        self._kept = False

    def forward(self, x: Tensor) -> Tensor:
        """Return the sum of both ways."""
        y = self.inner.forward(x)
        self._kept = y.shape == x.shape
        return x + y if self._kept else 2 * y

    def backward(self, grad_output: Tensor) -> Tensor:
        """Return the sum of the gradients of both ways."""
        if self._kept:
            return grad_output + backward(self.inner, grad_output)
        return backward(self.inner, 2 * grad_output)


def _check(case: LayerCase, network: Module) -> None:
    x, frozen = case.input(), Frozen(network)
    cotangent = case.cotangent(frozen.forward(x))
    done = frozen.run_pass(x, cotangent)
    check_gradients(case, frozen, x, cotangent, done, "input")
    check_gradients(case, frozen, x, cotangent, done, "parameters")


@check("layer", share=0.5)
def gradient_in_a_sequence(case: LayerCase) -> None:
    """Between two other layers the gradients of everything, the neighbours' parameters included, are still right."""
    output_shape = case.spec.output_shape(case.input_shape)
    _check(case, Sequential(Bend(case.input_shape[0]), case.layer(), Bend(output_shape[0])))


@check("layer", share=0.5)
def gradient_through_a_sum(case: LayerCase) -> None:
    """In y = x + f(x), whose gradient goes two ways, the gradients are still right."""
    _check(case, Sum(case.layer()))


@check("layer", share=0.5)
def later_calls_are_right_too(case: LayerCase) -> None:
    """After passes with other inputs, other batch sizes and other weights the gradients are still right.

    What a layer keeps from one call to the next - kernels made ready, buffers, borders written once - must follow.
    """
    layer, x = case.layer(), case.input()
    frozen = Frozen(layer)
    run_pass(layer, case.input(purpose="warm-up"), case.cotangent)
    run_pass(layer, case.input(case.batch + 1, purpose="warm-up"), case.cotangent)
    for index, (parameter, _) in enumerate(layer.param()):
        parameter.add_(0.1 * case.normal(f"update {index}", *parameter.shape))
    # The very same tensor with other values: a layer must not take it for the one it has seen.
    kept, value = x.clone(), case.input(purpose="other")
    forward(layer, x)
    x.copy_(value)
    cotangent = case.cotangent(frozen.forward(x))
    done = frozen.run_pass(x, cotangent)
    fresh = case.layer()
    fresh_frozen = Frozen(fresh)
    for (mine, _), (its, _) in zip(fresh.param(), layer.param(), strict=True):
        mine.copy_(its)
    _require_same(done, fresh_frozen.run_pass(value.clone(), cotangent), "after other calls")
    check_gradients(case, frozen, x, cotangent, done, "input")
    check_gradients(case, frozen, x, cotangent, done, "parameters")
    _require_same(frozen.run_pass(kept, cotangent), fresh_frozen.run_pass(kept, cotangent), "back at an earlier input")


def _require_same(done: Pass, fresh: Pass, when: str) -> None:
    require_close(done.output, fresh.output, f"{when} the output is not that of a fresh layer with the same weights")
    require_close(done.grad_input, fresh.grad_input, f"{when} the gradient of the input is not that of a fresh layer")
    for name, gradient in fresh.gradients.items():
        require_close(done.gradients[name], gradient, f"{when} the gradient of {name} is not that of a fresh layer")


@check("layer", share=0.5)
def size_changes_between_calls(case: LayerCase) -> None:
    """The same layer takes pictures of another size in between, where its spec accepts them, and stays right."""
    layer, x = case.layer(), case.input()
    frozen = Frozen(layer)
    first = frozen.run_pass(x, case.cotangent)
    for by in (2, 1, 3):
        shape = case.batch, *larger(case.spec, case.input_shape, by)
        other = case.normal(f"other size {shape}", *shape)
        try:
            fresh = Frozen(case.layer()).run_pass(other, case.cotangent)
        except Exception:
            continue  # a layer may be made for one size only
        _require_same(frozen.run_pass(other, case.cotangent), fresh, f"for an input of {shape}")
    again = frozen.run_pass(x, case.cotangent)
    require_close(again.output, first.output, "after inputs of other sizes the output has changed")
    require_close(again.grad_input, first.grad_input, "after inputs of other sizes the gradient has changed")
    for name, gradient in first.gradients.items():
        require_close(
            again.gradients[name], gradient, f"after inputs of other sizes the gradient of {name} has changed"
        )


def larger(spec: LayerSpec, shape: tuple[int, ...], by: int) -> tuple[int, ...]:
    """Return a larger picture, if a layer built for ``shape`` has the same parameters there; otherwise ``shape``."""
    if len(shape) != 3:
        return shape
    channels, height, width = shape
    larger = channels, height + by, width + 2 * by
    fits = accepts(spec, larger) and spec.parameter_count(larger) == spec.parameter_count(shape)
    return larger if fits and not spec.inner(shape) else shape


@check("layer", share=0.4)
def parameters_without_input_gradient(case: LayerCase) -> None:
    """With ``needs_input_grad = False`` backward may return None, and the parameters' gradients stay the same."""
    layer, x = case.layer(), case.input()
    frozen = Frozen(layer)
    done = frozen.run_pass(x, case.cotangent)
    layer.needs_input_grad = False
    frozen.restore()
    layer.zero_grad()
    output = forward(layer, x)
    layer.backward(case.cotangent(output))
    for name, (_, gradient) in layer.named_param().items():
        require_close(gradient, done.gradients[name], f"without an input gradient, that of {name} is different")
    layer.needs_input_grad = True
    frozen.restore()
    forward(layer, x)
    backward(layer, case.cotangent(output))
