"""What a layer keeps between calls, and what it must leave alone."""

from __future__ import annotations

import contextlib

import torch
from torch import Tensor

from layerkit.contracts.module import Module
from layerkit.errors import ShapeError, StateError
from layerkit.testing.cases.case import LayerCase
from layerkit.testing.check import CheckFailed, check, not_applicable, require
from layerkit.testing.instruments.comparison import require_close, require_same_bits
from layerkit.testing.instruments.observation import Interrupted, Operations, held_bytes, share_memory
from layerkit.testing.instruments.passes import Frozen, backward, forward, parameters_of, run_pass


@check("layer", share=0.6)
def gradients_accumulate(case: LayerCase) -> None:
    """Each backward adds to the parameters' gradients, in place, whatever their values are.

    An optimizer holds these very tensors: overwriting them, or putting others in their place, loses gradients.
    """
    layer, x = case.layer(), case.input()
    frozen = Frozen(layer)
    once = frozen.run_pass(x, case.cotangent)
    if not once.gradients:
        not_applicable("the layer has no parameters")
    held = {name: gradient for name, (_, gradient) in layer.named_param().items()}
    places = {name: gradient.data_ptr() for name, gradient in held.items()}
    expected = {}
    for name, gradient in held.items():
        gradient.copy_(case.normal(f"before {name}", *gradient.shape))
        expected[name] = gradient.clone()
    for time in ("first", "second", "third"):
        output = frozen.forward(x)
        backward(layer, case.cotangent(output))
        for name, gradient in held.items():
            expected[name] += once.gradients[name]
            require_close(gradient, expected[name], f"the {time} backward does not add to the gradient of {name}", 1e-8)
            now = layer.named_param()[name][1]
            same = now is gradient and now.data_ptr() == places[name]
            require(same, f"backward put another tensor in place of the gradient of {name}")


@check("layer", share=0.5)
def backward_twice(case: LayerCase) -> None:
    """A second backward of one forward gives the same and adds the parameters' gradients again, or is a StateError."""
    layer, x = case.layer(), case.input()
    once = run_pass(layer, x, case.cotangent)
    cotangent = case.cotangent(once.output)
    try:
        again = backward(layer, cotangent)
    except StateError:
        return
    require_close(again, once.grad_input, "a second backward of the same forward gives another gradient of the input")
    for name, (_, gradient) in layer.named_param().items():
        require_close(gradient, 2 * once.gradients[name], f"a second backward adds something else to {name}", 1e-8)


@check("layer", share=0.5)
def zero_grad_zeroes(case: LayerCase) -> None:
    """``zero_grad`` sets every gradient to zero and keeps the tensors; a new layer's gradients are zero."""
    layer, x = case.fresh(), case.input()
    pairs = layer.param()
    if not pairs:
        not_applicable("the layer has no parameters")
    for _, gradient in pairs:
        require(not bool(gradient.any()), "a gradient of a new layer is not zero")
    for _ in range(2):
        for _, gradient in pairs:
            gradient.fill_(torch.nan)
        layer.zero_grad()
        for (_, before), (_, after) in zip(pairs, layer.param(), strict=True):
            require(before is after, "zero_grad put another tensor in place of a gradient")
            require(
                not bool(before.isnan().any()) and not bool(before.any()),
                "zero_grad leaves a gradient that is not zero",
            )
        output = forward(layer, x)
        backward(layer, case.cotangent(output))


@check("layer", share=0.5)
def param_is_complete(case: LayerCase) -> None:
    """``param()`` gives the same (parameter, gradient) tensors at every call, each pair of one shape and dtype."""
    layer = case.layer()
    pairs, named = layer.param(), layer.named_param()
    require(isinstance(pairs, list), f"param() returns {type(pairs).__name__}, not a list")
    require(len(pairs) == len(named), f"param() has {len(pairs)} pairs and named_param() {len(named)}")
    identities = [tuple(map(id, pair)) for pair in pairs]
    require(identities == [tuple(map(id, pair)) for pair in named.values()], "param() and named_param() differ")
    if layer.training and pairs:
        run_pass(layer, case.input(), case.cotangent)
    require(identities == [tuple(map(id, pair)) for pair in layer.param()], "param() gives other tensors after a pass")
    require(len({id(tensor) for pair in pairs for tensor in pair}) == 2 * len(pairs), "param() has a tensor twice")
    state = layer.state_dict()
    for name, (parameter, gradient) in named.items():
        require(state.get(name) is parameter, f"the state has no {name}, or another tensor than the parameter")
        alike = parameter.shape == gradient.shape and parameter.dtype == gradient.dtype
        require(alike, f"the gradient of {name} differs from it in shape or dtype")
        require(not share_memory(parameter, gradient), f"{name} and its gradient lie in the same memory")


@check("layer", share=0.5)
def backward_needs_forward(case: LayerCase) -> None:
    """Backward before any forward is a StateError."""
    layer, x = case.layer(), case.input()
    cotangent = case.cotangent(case.layer().forward(x))
    _require_state_error(layer, cotangent, "backward before forward")


def _require_state_error(layer: Module, cotangent: Tensor, what: str) -> None:
    try:
        layer.backward(cotangent)
    except StateError:
        return
    except Exception as error:
        raise CheckFailed(f"{what} is {type(error).__name__}, and should be layerkit.StateError") from None
    raise CheckFailed(f"{what} is accepted, and should be layerkit.StateError")


@check("layer", share=0.5)
def wrong_gradient_is_refused(case: LayerCase) -> None:
    """A gradient of another shape than the output's is a ShapeError, and changes no parameter's gradient."""
    layer, x = case.layer(), case.input()
    shape = tuple(forward(layer, x).shape)
    wrong = [(*shape, 1), shape[1:], (shape[0] + 1, *shape[1:])]
    wrong += [(*shape[:dim], size + 1, *shape[dim + 1 :]) for dim, size in enumerate(shape) if dim]
    wrong += [(1, *shape[1:])] if shape[0] > 1 else []
    for bad in wrong:
        forward(layer, x)
        layer.zero_grad()
        try:
            layer.backward(torch.ones(bad, dtype=torch.float64))
        except ShapeError:
            pass
        except Exception as error:
            name = type(error).__name__
            raise CheckFailed(f"a gradient of {bad} for an output of {shape} is {name}, not ShapeError") from None
        else:
            raise CheckFailed(f"a gradient of {bad} for an output of {shape} is accepted; it should be a ShapeError")
        for _, gradient in layer.param():
            require(not bool(gradient.any()), "a refused gradient has changed the gradient of a parameter")


@check("layer", share=0.6)
def last_forward_counts(case: LayerCase) -> None:
    """After forward(x1) and forward(x2), backward belongs to x2."""
    layer = case.layer()
    frozen = Frozen(layer)
    second = case.input(purpose="second")
    expected = frozen.run_pass(second, case.cotangent)
    for first in (case.input(), case.input(case.batch + 1)):
        frozen.forward(first)
        again = frozen.run_pass(second, case.cotangent)
        require_close(again.grad_input, expected.grad_input, "after two forwards, backward is not that of the last one")
        for name, gradient in expected.gradients.items():
            require_close(again.gradients[name], gradient, f"after two forwards, the gradient of {name} is another")


@check("layer", share=0.6)
def changes_after_forward(case: LayerCase) -> None:
    """When the caller changes x, or the output, between forward and backward, this is harmless or a StateError."""
    layer = case.layer()
    frozen = Frozen(layer)
    expected = frozen.run_pass(case.input(), case.cotangent)
    for which in ("the input", "the output"):
        x = case.input()
        output = frozen.forward(x)
        cotangent = case.cotangent(output)
        changed = x if which == "the input" else output
        changed.mul_(-0.5).add_(0.3)
        layer.zero_grad()
        try:
            grad_input = backward(layer, cotangent)
        except StateError:
            continue
        what = f"the caller changed {which} after forward, and unnoticed backward gives another"
        require_close(grad_input, expected.grad_input, f"{what} gradient")
        for name, (_, gradient) in layer.named_param().items():
            require_close(gradient, expected.gradients[name], f"{what} gradient of {name}")


@check("layer", large=0.5)
def nothing_given_is_changed(case: LayerCase) -> None:
    """Neither forward nor backward writes into the input, the gradient it is given, or a parameter; in any layout."""
    for training in (True, False):
        layer = case.layer().train(training)
        parameters = parameters_of(layer)
        for layout in ("contiguous", "transposed", "sliced"):
            x = _laid_out(case.input(), layout)
            value, version = x.clone(), x._version
            output = forward(layer, x)
            unchanged = torch.equal(x, value) and x._version == version
            require(unchanged, f"forward writes into its input ({layout}, training={training})")
            if training:
                cotangent = _laid_out(case.cotangent(output), layout)
                kept, version = cotangent.clone(), cotangent._version
                backward(layer, cotangent)
                unchanged = torch.equal(cotangent, kept) and cotangent._version == version
                require(unchanged, f"backward writes into the gradient it is given ({layout})")
                unchanged = torch.equal(x, value) and x.shape == value.shape
                require(unchanged, f"backward writes into the input of forward ({layout})")
            for name, (parameter, _) in layer.named_param().items():
                require_same_bits(parameter, parameters[name], f"a pass has changed the parameter {name}")


def _laid_out(value: Tensor, layout: str) -> Tensor:
    if layout == "transposed" and value.dim() > 1:
        return value.transpose(0, -1).contiguous().transpose(0, -1)
    if layout == "sliced":
        wide = torch.zeros(*value.shape[:-1], 2 * value.shape[-1], dtype=value.dtype)
        wide[..., ::2] = value
        return wide[..., ::2]
    return value.clone(memory_format=torch.contiguous_format)


@check("layer", share=0.6)
def nothing_returned_is_overwritten(case: LayerCase) -> None:
    """What forward and backward returned keeps its values in later calls, and is not a parameter, buffer or gradient.

    In training the output is not the caller's own picture either; a view of it that shows its values in another shape
    or order may be, as of flatten.
    """
    layer, x = case.layer(), case.input()
    output = forward(layer, x)
    # Of sizes of one the order cannot be seen.
    if output.shape == x.shape and output.stride() == x.stride() and sum(size > 1 for size in case.input_shape) > 1:
        require(not share_memory(output, x), "the output lies in the memory of the input: return a copy")
    grad_input = backward(layer, case.cotangent(output))
    kept, kept_grad = output.clone(), grad_input.clone()
    for name, tensor in _own_tensors(layer).items():
        require(not share_memory(output, tensor), f"the output lies in the memory of {name}")
        require(not share_memory(grad_input, tensor), f"the gradient of the input lies in the memory of {name}")
    # Once more with inputs of the same shape, for which a buffer would fit, and once in evaluation.
    for purpose in ("second", "third"):
        backward(layer, case.cotangent(forward(layer, case.input(purpose=purpose)), purpose))
    forward(layer.eval(), case.input(purpose="evaluation"))
    require_same_bits(output, kept, "a later call overwrites the output that an earlier one returned")
    require_same_bits(grad_input, kept_grad, "a later call overwrites the gradient that an earlier one returned")


def _own_tensors(layer: Module) -> dict[str, Tensor]:
    own: dict[str, Tensor] = {}
    for name, (parameter, gradient) in layer.named_param().items():
        own |= {f"the parameter {name}": parameter, f"the gradient of {name}": gradient}
    return own | {f"the buffer {name}": tensor for name, tensor in layer.state_dict().items() if name not in own}


@check("layer", share=0.6)
def evaluation_keeps_nothing(case: LayerCase) -> None:
    """In evaluation mode forward keeps no tensor and changes no state, and backward after it is a StateError."""
    layer, x = case.layer(), case.input()
    cotangent = case.cotangent(run_pass(layer, x, case.cotangent).output)
    forward(layer, x)
    layer.eval()
    require(not layer.training, "eval() does not switch to evaluation mode")
    state = {name: value.clone() for name, value in layer.state_dict().items()}
    forward(layer, x)
    held = held_bytes(layer)
    forward(layer, case.input(4 * case.batch + 4))
    require(held_bytes(layer) <= held, "forward in evaluation mode keeps tensors, more for a larger batch")
    _require_state_error(layer, cotangent, "backward after a forward in evaluation mode")
    for name, value in layer.state_dict().items():
        require_same_bits(value, state[name], f"forward in evaluation mode changes {name}")
    layer.train()
    require(layer.training, "train() does not switch to training mode")
    _require_state_error(layer, cotangent, "backward after train(), with no forward since")


@check("layer", share=0.6)
def survives_an_exception(case: LayerCase) -> None:
    """A forward that fails halfway leaves a layer that works, and that has forgotten the forward before.

    Torch is made to fail at each of its operations in turn, as it does when memory runs out.
    """
    x = case.input()
    sound = case.layer()
    state = {name: value.clone() for name, value in sound.state_dict().items()}
    expected = run_pass(sound, x, case.cotangent)
    layer = case.layer()
    with Operations() as operations:
        forward(layer, x)
    count = len(operations.names)
    for fail_at in sorted({0, count // 2, count - 1, case.seed % max(count, 1)} & set(range(count))):
        layer.load_state_dict(state)
        forward(layer, x)
        with contextlib.suppress(Interrupted), Operations(fail_at):
            layer.forward(x)
        _require_state_error(layer, case.cotangent(expected.output), "backward after a forward that failed")
        layer.load_state_dict(state)
        done = run_pass(layer, x, case.cotangent)
        require_same_bits(done.output, expected.output, "after a forward that failed halfway the output is another")
        require_close(
            done.grad_input, expected.grad_input, "after a forward that failed halfway the gradient is another"
        )
        for name, gradient in expected.gradients.items():
            require_close(done.gradients[name], gradient, f"after a failed forward the gradient of {name} is another")


@check("layer", share=0.5)
def no_autograd_graph(case: LayerCase) -> None:
    """No graph is recorded, not even with gradient mode on and an input that requires a gradient."""
    layer, x = case.layer(), case.input().requires_grad_()
    with torch.enable_grad():
        output = forward(layer, x)
        # A view of a leaf says that it requires a gradient, and hangs on nothing.
        require(output.grad_fn is None, "the output hangs on an autograd graph")
        cotangent = case.cotangent(output).requires_grad_()
        grad_input = backward(layer, cotangent)
    require(grad_input.grad_fn is None, "the gradient of the input hangs on an autograd graph")
    require(x.grad is None and cotangent.grad is None, "autograd was run: the grad of an input is set")
    for name, (parameter, gradient) in layer.named_param().items():
        require(not parameter.requires_grad, f"the parameter {name} requires an autograd gradient")
        require(not gradient.requires_grad, f"the gradient of {name} hangs on an autograd graph")


@check("layer", share=0.5)
def instances_are_independent(case: LayerCase) -> None:
    """Two layers of one class share nothing: neither saved tensors nor gradients nor parameters."""
    first, second, x = case.layer(), case.layer(), case.input()
    expected = run_pass(case.layer(), x, case.cotangent)
    output = forward(first, x)
    run_pass(second, case.input(purpose="other"), case.cotangent)
    forward(second, case.input(case.batch + 1))
    first.zero_grad()
    grad_input = backward(first, case.cotangent(output))
    require_close(grad_input, expected.grad_input, "another layer of the class changes this one's gradient")
    for name, (parameter, gradient) in first.named_param().items():
        require_close(gradient, expected.gradients[name], f"another layer of the class changes the gradient of {name}")
        other, other_gradient = second.named_param()[name]
        apart = not share_memory(parameter, other) and not share_memory(gradient, other_gradient)
        require(apart, f"two layers share the memory of {name} or of its gradient")
