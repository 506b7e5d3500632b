"""Where tensors lie: each in memory of its own, which nobody moves, and nothing is known by its address."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import combinations

import torch
from torch import Tensor

from layerkit.contracts.module import Module
from layerkit.testing.cases.case import LayerCase, LossCase, OptimizerCase
from layerkit.testing.check import check, require
from layerkit.testing.instruments.comparison import require_same_bits
from layerkit.testing.instruments.observation import share_memory
from layerkit.testing.instruments.passes import buffers_of, forward, run_pass


@check("layer", most=4)
def memory_is_its_own(case: LayerCase) -> None:
    """Parameters, gradients and buffers lie each in memory of its own, from the start, and so do those of two layers.

    An average that is the parameter itself, or two parameters in one memory, are not seen after ``.to``, which moves
    them apart.
    """
    first, second = case.builder()(), case.builder()()
    together = {f"{name} of one layer": tensor for name, tensor in _tensors(first).items()}
    together |= {f"{name} of another": tensor for name, tensor in _tensors(second).items()}
    own = next((parameter.dtype for parameter, _ in first.param()), torch.float32)
    x = case.input(dtype=own)
    for when in ("a new layer", "a layer that was used"):
        for (name, tensor), (other, its) in combinations(together.items(), 2):
            require(not share_memory(tensor, its), f"in {when} {name} lies in the memory of {other}")
        for layer in (first, second):
            run_pass(layer, x, case.cotangent)
            forward(layer.eval(), x)
            layer.train()


def _tensors(layer: Module) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    for name, (parameter, gradient) in layer.named_param().items():
        found |= {name: parameter, f"the gradient of {name}": gradient}
    return found | {f"buffer {index}": buffer for index, buffer in enumerate(buffers_of(layer))}


@check("layer", most=4)
def parameters_keep_their_places(case: LayerCase) -> None:
    """No pass, no change of mode and no loading moves a parameter or its gradient, or puts it in another order."""
    layer, x = case.layer(), case.input()
    places = _places(layer)
    moves = {
        "a pass": lambda: run_pass(layer, x, case.cotangent),
        "eval()": layer.eval,
        "a forward in evaluation mode": lambda: forward(layer, x),
        "loading a state": lambda: layer.load_state_dict({n: t.clone() for n, t in layer.state_dict().items()}),
        "train()": layer.train,
        "a pass of a batch of another size": lambda: run_pass(layer, case.input(case.batch + 1), case.cotangent),
        "zero_grad()": layer.zero_grad,
    }
    for what, move in moves.items():
        move()
        for name, place in _places(layer).items():
            where = "in another order in memory" if place[0] == places[name][0] else "in other memory"
            require(place == places[name], f"after {what} {name} lies {where} than before")


def _places(layer: Module) -> dict[str, tuple[object, ...]]:
    """Return where each parameter and gradient lies, and in which order."""
    found: dict[str, tuple[object, ...]] = {}
    for name, (parameter, gradient) in layer.named_param().items():
        for what, tensor in ((name, parameter), (f"the gradient of {name}", gradient)):
            found[what] = (tensor.data_ptr(), tensor.stride(), tensor.shape)
    return found


TURNS = 24


@check("layer", "loss", "optimizer", most=4)
def nothing_is_known_by_its_address(case: LayerCase | LossCase | OptimizerCase) -> None:
    """What comes where something else was freed, with the same ``id`` and address, is not taken for it."""
    match case:
        case LayerCase():
            use: Callable[[int], Used] = partial(_use_layer, case)
        case LossCase():
            use = partial(_use_loss, case)
        case OptimizerCase():
            use = partial(_use_optimizer, case)
    # First with everything kept, so that no two things have one address, and then with everything freed at once.
    expected = [use(turn) for turn in range(TURNS)]
    for turn, (wanted, _) in enumerate(expected):
        for given, its in zip(use(turn)[0], wanted, strict=True):
            require_same_bits(given, its, f"a new {case.subject.kind} where another one was freed gives something else")


Used = tuple[list[Tensor], object]
"""What a thing gave, and the thing with all that it was given, to be kept or freed."""


def _use_layer(case: LayerCase, turn: int) -> Used:
    layer, x = case.layer(purpose=f"layer {turn}"), case.input(purpose=f"input {turn}")
    done = run_pass(layer, x, case.cotangent)
    return [done.output, done.grad_input, forward(layer.eval(), x)], (layer, x)


def _use_loss(case: LossCase, turn: int) -> Used:
    loss, prediction = case.loss(), case.prediction(purpose=f"prediction {turn}")
    target = case.target(purpose=f"target {turn}")
    return [loss.forward(prediction, target), loss.backward()], (loss, prediction, target)


def _use_optimizer(case: OptimizerCase, turn: int) -> Used:
    pairs = case.pairs()
    optimizer = case.optimizer(pairs)
    for step in range(turn + 1):
        case.give_gradients(pairs, 10 * turn + step)
        optimizer.step()
    return [parameter.clone() for parameter, _ in pairs], (optimizer, pairs)
