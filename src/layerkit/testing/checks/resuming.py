"""A training that is interrupted, evaluated in between, or very long goes on to the last bit as if it were not."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from torch import Tensor

from layerkit.contracts.module import Module
from layerkit.testing.cases.case import LayerCase
from layerkit.testing.check import check
from layerkit.testing.instruments.comparison import require_close, require_same_bits
from layerkit.testing.instruments.numerics import check_jointly
from layerkit.testing.instruments.passes import Frozen, forward, run_pass

STEPS = 24
HUNDREDS = 520
"""Steps of a long training: beyond the 256th and the 512th."""

ORDERS = ("te", "t", "ette", "ttte", "et")
"""In which order steps of training (t) and evaluations (e) come, again and again."""


def step_of(case: LayerCase, layer: Module, step: int) -> Iterator[Tensor]:
    """Make a step of training, and yield the output and the gradient of the input."""
    if not layer.training:
        layer.train()
    done = run_pass(layer, case.input(purpose=f"step {step}"), case.cotangent)
    for parameter, gradient in layer.param():
        parameter.sub_(0.01 * gradient)
    yield from (done.output, done.grad_input)


def _evaluation(case: LayerCase, layer: Module, step: int) -> Iterator[Tensor]:
    yield forward(layer.eval(), case.input(purpose=f"evaluated {step}"))


def _run(case: LayerCase, layer: Module, steps: range, order: str) -> list[Tensor]:
    """Return all that a layer gives in some steps."""
    moves: dict[str, Callable[[LayerCase, Module, int], Iterator[Tensor]]] = {"t": step_of, "e": _evaluation}
    return [given for step in steps for given in moves[order[step % len(order)]](case, layer, step)]


@check("layer", most=4)
def resumes_in_the_middle(case: LayerCase) -> None:
    """Saved in the middle of some steps, it goes on in another layer as if never interrupted, to the last bit.

    The other one is new, or used, or in evaluation mode when the state is loaded, and goes on with a step of training
    or with an evaluation: nothing that it kept of its own weights may outlive them.
    """
    order = ORDERS[case.seed % len(ORDERS)]
    saved_at = 3 + case.seed % (STEPS - 6)
    layer = case.layer()
    _run(case, layer, range(saved_at), order)
    state = {name: value.clone() for name, value in layer.state_dict().items()}
    successors = {"a new layer": case.fresh(purpose="another seed")}
    used = case.layer(purpose="a third seed")
    _run(case, used, range(3), "tet")
    successors["a layer that was trained before"] = used
    evaluated = case.layer(purpose="a fourth seed").eval()
    forward(evaluated, case.input())
    successors["a layer in evaluation mode"] = evaluated
    x = case.input(purpose="at once")
    evaluation = forward(layer.eval(), x)
    rest = range(saved_at, STEPS)
    expected = _run(case, layer, rest, order)
    for who, successor in successors.items():
        successor.load_state_dict(state)
        if not successor.training:
            what = f"{who} that loaded the state gives another output at once: it keeps what it made of its old weights"
            require_same_bits(forward(successor, x), evaluation, what)
        for given, wanted in zip(_run(case, successor, rest, order), expected, strict=True):
            what = f"resumed in the middle, {who} goes another way than the one that was never interrupted"
            require_same_bits(given, wanted, f"{what}: something is missing in the state")
        for name, value in layer.state_dict().items():
            require_same_bits(successor.state_dict()[name], value, f"resumed in {who}, {name} ends as another")


@check("layer", most=3)
def evaluation_leaves_no_trace(case: LayerCase) -> None:
    """Steps of training with evaluations and changes of mode in between are, to the last bit, those without."""
    alone, watched = case.layer(), case.layer()
    for step in range(8):
        for mode in ((), (False,), (True,), (False, True))[step % 4]:
            watched.train(mode)
        if step % 3:
            forward(watched.eval(), case.input(2 * case.batch, purpose=f"evaluated {step}"))
        pairs = zip(step_of(case, alone, step), step_of(case, watched, step), strict=True)
        for without, given in pairs:
            require_same_bits(given, without, "after an evaluation or a change of mode the training is another")
    for name, value in alone.state_dict().items():
        what = f"after evaluations and changes of mode {name} is another"
        require_same_bits(watched.state_dict()[name], value, what)
    x = case.input(purpose="after")
    require_same_bits(forward(watched.eval(), x), forward(alone.eval(), x), "after evaluations a later one is another")


@check("layer", most=2)
def hundreds_of_steps(case: LayerCase) -> None:
    """After hundreds of steps the layer is what a new one with its state is, and its gradients are still right."""
    layer, x = case.layer(), case.input()
    cotangent = case.cotangent(forward(layer, x))
    for step in range(HUNDREDS):
        if step % 16 == 8:
            layer.eval()
            layer.forward(x)
            layer.train()
        layer.forward(x)
        layer.backward(cotangent)
        layer.zero_grad()
    other = case.fresh(purpose="another seed")
    other.load_state_dict({name: value.clone() for name, value in layer.state_dict().items()})
    x = case.input(purpose="after")
    frozen = Frozen(layer)
    done, expected = frozen.run_pass(x, cotangent), Frozen(other).run_pass(x, cotangent)
    after = f"after {HUNDREDS} steps"
    require_same_bits(done.output, expected.output, f"{after} the output is not that of a new layer with its state")
    require_same_bits(done.grad_input, expected.grad_input, f"{after} the gradient is not that of a new layer")
    tensors = {"the input": (x, done.grad_input)}
    for name, gradient in expected.gradients.items():
        require_close(done.gradients[name], gradient, f"{after} the gradient of {name} is not that of a new layer")
        tensors[name] = (layer.named_param()[name][0], gradient)
    directions, function = case.generator("directions"), frozen.differentiable(x)
    check_jointly(lambda: function(x), tensors, cotangent, directions, kinked=case.declares("kinked"))
