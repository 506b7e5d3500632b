"""All that a component gives from a case's seed, by name, to be compared with what it gives somewhere else."""

from __future__ import annotations

import json

import torch
from torch import Tensor

from layerkit.contracts.specs import Spec
from layerkit.testing.cases.case import Case, LayerCase, LossCase, NoiseCase, OptimizerCase, ScheduleCase
from layerkit.testing.instruments.passes import forward, run_pass

Outcome = dict[str, Tensor]


def outcome_of(case: Case[Spec]) -> Outcome:
    """Return what the component of a case gives, which depends on nothing but the case."""
    spec = case.subject.read(json.loads(json.dumps(case.configuration)))
    found = {"its JSON": torch.tensor(list(spec.model_dump_json(by_alias=True).encode()), dtype=torch.uint8)}
    match case:
        case LayerCase():
            return found | _of_layer(case)
        case LossCase():
            loss, prediction, target = case.loss(), case.prediction(), case.target()
            return found | {"the loss": loss.forward(prediction, target), "the gradient": loss.backward()}
        case OptimizerCase():
            return found | _of_optimizer(case)
        case NoiseCase():
            noise = case.noise()
            source = case.source(noise)
            found |= {"a draw": noise.draw(source, case.generator("draw")), "the clean picture": noise.clean(source)}
            return found | {"a target": noise.target(source, case.generator("target"))}
        case ScheduleCase():
            schedule = case.schedule()
            factors = [float(schedule.factor(place)) for place in case.places()]
            return found | {"the factors": torch.tensor(factors, dtype=torch.float64)}
    raise TypeError(f"cases of the kind {case.subject.kind} are not known")


def _of_layer(case: LayerCase) -> Outcome:
    built = {f"{name}, as it is built,": value.clone() for name, value in case.builder()().state_dict().items()}
    layer, x = case.layer(), case.input()
    done = run_pass(layer, x, case.cotangent)
    found = built | {"the output": done.output, "the gradient of the input": done.grad_input}
    found |= {f"the gradient of {name}": gradient for name, gradient in done.gradients.items()}
    return found | {"the output in evaluation": forward(layer.eval(), x)}


def _of_optimizer(case: OptimizerCase) -> Outcome:
    pairs = case.pairs()
    optimizer = case.optimizer(pairs)
    for step in range(6):
        case.give_gradients(pairs, step)
        optimizer.step()
    return {f"parameter {index}": parameter for index, (parameter, _) in enumerate(pairs)}
