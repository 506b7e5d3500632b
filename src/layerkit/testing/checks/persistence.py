"""What survives saving, copying and many repetitions."""

from __future__ import annotations

import copy
import gc
import pickle
import sys
from collections.abc import Mapping

import torch
from torch import Tensor

from layerkit.contracts.module import Module
from layerkit.errors import CheckpointError
from layerkit.testing.cases.case import LayerCase
from layerkit.testing.check import CheckFailed, check, require
from layerkit.testing.instruments.comparison import require_same_bits
from layerkit.testing.instruments.observation import held_bytes, held_items, reachable_tensors, share_memory
from layerkit.testing.instruments.passes import forward, run_pass


def _used(case: LayerCase, steps: int = 3) -> Module:
    """Return a layer after some steps of training, so that everything it keeps has moved."""
    layer = case.layer()
    for step in range(steps):
        run_pass(layer, case.input(purpose=f"step {step}"), case.cotangent)
        for parameter, gradient in layer.param():
            parameter.sub_(0.01 * gradient)
    return layer


@check("layer", share=0.6)
def state_round_trips(case: LayerCase) -> None:
    """A new layer that loads the state of a used one then does exactly the same, in training and in evaluation."""
    used = _used(case)
    state = {name: value.clone() for name, value in used.state_dict().items()}
    other = case.fresh(purpose="another seed")
    names, pairs = list(other.state_dict()), [(id(p), id(g)) for p, g in other.param()]
    require(names == list(state), f"the names of the state change with use: {names} became {list(state)}")
    other.load_state_dict(state)
    same = pairs == [(id(p), id(g)) for p, g in other.param()]
    require(same, "loading put other tensors in place of the parameters, and an optimizer keeps the old ones")
    for name, value in other.state_dict().items():
        require_same_bits(value, state[name], f"{name} is not what was loaded")
        require(not share_memory(value, state[name]), f"after loading, {name} lies in the memory of what was loaded")
    x = case.input(purpose="after")
    for training in (False, True):
        require_same_bits(
            forward(other.train(training), x),
            forward(used.train(training), x),
            f"with the loaded state the output is another (training={training}): something is missing in the state",
        )
    mine, its = run_pass(used, x, case.cotangent), run_pass(other, x, case.cotangent)
    require_same_bits(its.output, mine.output, "with the loaded state a later output is another")
    require_same_bits(its.grad_input, mine.grad_input, "with the loaded state the gradient is another")


@check("layer", share=0.4)
def wrong_state_is_refused(case: LayerCase) -> None:
    """A state with a name missing or too many, or a wrong shape, is a CheckpointError and changes nothing."""
    layer = case.layer()
    state = {name: value.clone() for name, value in layer.state_dict().items()}
    shifted = {name: value + 1 if value.is_floating_point() else value for name, value in state.items()}
    wrong: dict[str, dict[str, Tensor]] = {"a name too many": shifted | {"nobody": torch.zeros(1)}}
    for name, value in shifted.items():
        wrong[f"no {name}"] = {key: its for key, its in shifted.items() if key != name}
        wrong[f"a wrong shape of {name}"] = shifted | {name: torch.zeros(*value.shape, 2, dtype=value.dtype)}
    for what, bad in wrong.items():
        try:
            layer.load_state_dict(bad)
        except CheckpointError:
            pass
        except Exception as error:
            raise CheckFailed(f"a state with {what} is {type(error).__name__}, not CheckpointError") from None
        else:
            raise CheckFailed(f"a state with {what} is accepted")
        for name, value in layer.state_dict().items():
            require_same_bits(value, state[name], f"a state with {what} is refused, but has changed {name}")


@check("layer", share=0.5)
def copies_share_nothing(case: LayerCase) -> None:
    """A deep copy and a pickled layer behave the same and share no memory with the original."""
    layer = _used(case, 1)
    twins = {"a deep copy": copy.deepcopy(layer), "an unpickled layer": pickle.loads(pickle.dumps(layer))}
    mine = {tensor.untyped_storage().data_ptr() for tensor in reachable_tensors(layer).values() if tensor.numel()}
    for who, twin in twins.items():
        its = {tensor.untyped_storage().data_ptr() for tensor in reachable_tensors(twin).values() if tensor.numel()}
        require(not mine & its, f"{who} shares memory with the original")
    x = case.input(purpose="after")
    expected = run_pass(layer, x, case.cotangent)
    for who, twin in twins.items():
        done = run_pass(twin, x, case.cotangent)
        require_same_bits(done.output, expected.output, f"{who} gives another output")
        require_same_bits(done.grad_input, expected.grad_input, f"{who} gives another gradient")
        for name, gradient in expected.gradients.items():
            require_same_bits(done.gradients[name], gradient, f"{who} gives another gradient of {name}")


@check("layer", share=0.4)
def does_not_grow(case: LayerCase) -> None:
    """After many steps the layer holds no more memory than after a few; nor does its class, or its module."""
    layer, x = case.layer(), case.input()
    run_pass(layer, x, case.cotangent)
    run_pass(layer, case.input(case.batch + 1), case.cotangent)
    run_pass(layer, x, case.cotangent)
    held, items = _held(layer)
    for step in range(4):
        run_pass(layer, case.input(purpose=f"step {step}"), case.cotangent)
    run_pass(layer, case.input(case.batch + 1), case.cotangent)
    run_pass(layer, x, case.cotangent)
    later, later_items = _held(layer)
    require(later <= held, f"after more steps of the same sizes it holds {later} bytes instead of {held}")
    require(later_items <= items, f"after more steps of the same sizes it keeps {later_items} items instead of {items}")


def _held(layer: Module) -> tuple[int, int]:
    """Return the bytes and the items that a layer, its classes and their modules keep."""
    gc.collect(0)
    kinds = {type(module) for _, module in layer.modules()}
    roots = [layer, *(_data_of(vars(kind)) for kind in kinds)]
    roots += [_data_of(vars(sys.modules.get(kind.__module__))) for kind in kinds]
    return held_bytes(roots), held_items(roots)


def _data_of(namespace: Mapping[str, object]) -> dict[str, object]:
    """Return the tensors, lists and dicts of a class or module, where a cache might grow."""
    return {
        name: value
        for name, value in namespace.items()
        if isinstance(value, dict | list | set | Tensor) and not name.startswith("__")
    }
