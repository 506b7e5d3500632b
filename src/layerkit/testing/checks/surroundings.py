"""A component gives the same wherever and whenever it is used: in any process, at any time, under any defaults."""

from __future__ import annotations

import json

import torch
from torch import Tensor

from layerkit.contracts.specs import Spec
from layerkit.testing.cases.case import Case, LayerCase, LossCase, NoiseCase, OptimizerCase
from layerkit.testing.check import CheckFailed, check, require
from layerkit.testing.instruments.comparison import require_close, require_same_bits
from layerkit.testing.instruments.elsewhere import elsewhere
from layerkit.testing.instruments.outcomes import Outcome, outcome_of
from layerkit.testing.instruments.passes import Frozen, forward, run_pass
from layerkit.testing.instruments.surroundings import (
    OtherDefaults,
    another_place_and_time,
    modules_of,
    other_variables,
    variables_asked_for,
)


@check("layer", "loss", "optimizer", "noise", "schedule", share=0.2)
def one_text_means_one_thing(case: Case[Spec]) -> None:
    """One JSON text, read twice or written and read again, means one component, to the last bit of what it gives."""
    bare = case.subject.spec.model_fields
    required = {name: value for name, value in case.configuration.items() if name == "type" or bare[name].is_required()}
    for configuration in (case.configuration, required):
        text = json.dumps(configuration)
        first, second = (case.subject.read(json.loads(text)).model_dump_json(by_alias=True) for _ in range(2))
        require(first == second, f"the text {text} read twice is {first} and {second}")
    expected = outcome_of(case)
    _require_same(outcome_of(case), expected, "built twice from one text")
    written = json.loads(case.spec.model_dump_json(by_alias=True))
    again = type(case)(case.subject, written, case.seed, *(getattr(case, name) for name in case.shapes))
    _require_same(outcome_of(again), expected, "written as JSON and read again")


def _require_same(given: Outcome, expected: Outcome, when: str) -> None:
    require(given.keys() == expected.keys(), f"{when} it gives {list(given)}, and {list(expected)} otherwise")
    for name, value in expected.items():
        require_same_bits(given[name], value, f"{when}, {name} is another")


@check("layer", "loss", "optimizer", "noise", "schedule", most=3)
def same_at_any_time_and_place(case: Case[Spec]) -> None:
    """At another time, in a process of another number and with other hashes of texts it gives the same bits.

    A seed that comes from the clock, from ``hash`` or from an environment variable gives others.
    """
    modules = modules_of(case.subject.spec)
    with variables_asked_for(modules) as asked:
        expected = outcome_of(case)
    with another_place_and_time(modules):
        _require_same(outcome_of(case), expected, "at another time, with other hashes")
    with other_variables(asked):
        _require_same(outcome_of(case), expected, f"with other values of {', '.join(sorted(asked))}")


@check("layer", "loss", "optimizer", "noise", "schedule", most=2)
def same_in_another_process(case: Case[Spec]) -> None:
    """In a fresh process, whose hash seed, clock and environment are others, it gives the same."""
    there, here = elsewhere().outcome(case), outcome_of(case)
    require(there.keys() == here.keys(), f"in another process it gives {list(there)}, and {list(here)} here")
    for name, value in here.items():
        what = f"in another process {name} is another"
        if value.dtype == torch.float64:
            require_close(there[name], value, what)  # processes may divide a sum between threads in another way
        else:
            require_same_bits(there[name], value, what)


@check("layer", "loss", "optimizer", "noise", share=0.3)
def defaults_do_not_matter(case: LayerCase | LossCase | OptimizerCase | NoiseCase) -> None:
    """With another default dtype and device of torch, set after it was built, it gives the same.

    Tensors are made with the dtype and on the device of those that it is given.
    """
    for dtype, default in ((torch.float32, torch.float64), (torch.float64, torch.float32)):
        expected = _used(case, dtype, None)
        try:
            given = _used(case, dtype, default)
        except CheckFailed:
            raise
        except Exception as error:
            first = str(error).strip().splitlines()[0]
            raise CheckFailed(
                f"with a default dtype of {default} and another default device it fails for {dtype} "
                f"({type(error).__name__}: {first}); make tensors with the dtype and device of those that are given"
            ) from None
        for name, value in expected.items():
            its, where = given[name], f"with a default dtype of {default} and another default device {name}"
            require(its.dtype == value.dtype, f"{where} is {its.dtype} instead of {value.dtype}")
            require(its.device == value.device, f"{where} is on the default device instead of {value.device}")
            require_close(its.double(), value.double(), f"{where} is another", 1e-5)


def _used(
    case: LayerCase | LossCase | OptimizerCase | NoiseCase, dtype: torch.dtype, default: torch.dtype | None
) -> dict[str, Tensor]:
    """Return what it gives for tensors of ``dtype``, under other defaults if there is a default dtype."""
    match case:
        case LayerCase():
            layer, x = case.layer(dtype), case.input(dtype=dtype)
            cotangent = case.cotangent(Frozen(layer).forward(x))
            Frozen(layer).restore()

            def use() -> dict[str, Tensor]:
                done = run_pass(layer, x, cotangent)
                found = {"the output": done.output, "the gradient": done.grad_input}
                return found | done.gradients | {"the output in evaluation": forward(layer.eval(), x)}

        case LossCase():
            loss, prediction, target = case.loss(), case.prediction(dtype), case.target(dtype)

            def use() -> dict[str, Tensor]:
                return {"the loss": loss.forward(prediction, target), "the gradient": loss.backward()}

        case OptimizerCase():
            pairs = case.pairs(dtype)
            optimizer = case.optimizer(pairs)

            def use() -> dict[str, Tensor]:
                for step in range(3):
                    for (_, gradient), value in zip(pairs, gradients[step], strict=True):
                        gradient.copy_(value)
                    optimizer.step()
                return {f"parameter {index}": parameter for index, (parameter, _) in enumerate(pairs)}

            gradients = [
                [
                    case.normal(f"gradient {step}/{index}", *parameter.shape)
                    for index, (parameter, _) in enumerate(pairs)
                ]
                for step in range(3)
            ]
        case NoiseCase():
            noise = case.noise()
            source = case.source(noise, dtype)
            generator = case.generator("draw")

            def use() -> dict[str, Tensor]:
                found = {"a draw": noise.draw(source, generator), "a target": noise.target(source, generator)}
                return found | {"the clean picture": noise.clean(source)}

    if default is None:
        return use()
    with OtherDefaults(default):
        return use()
