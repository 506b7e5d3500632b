"""What a component does otherwise than others on purpose: it says so, with a reason, and it is seen to do it.

What such a declaration takes away from the other checks is little, and named in their reasons: a layer's gradients are
held against its surrogate, and an optimizer's steps are still repeatable.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from layerkit.testing.cases.case import LayerCase, LossCase, OptimizerCase
from layerkit.testing.check import CheckFailed, check, not_applicable, require
from layerkit.testing.checks.losses import require_mean_of_parts, two_batches
from layerkit.testing.checks.optimizers import Pairs, steps
from layerkit.testing.instruments.comparison import require_same_bits
from layerkit.testing.instruments.numerics import numeric_derivative
from layerkit.testing.instruments.passes import Frozen

SHORTEST = 10
"""A reason has at least so many characters."""


def _require_reason(reason: object, name: str) -> None:
    said = isinstance(reason, str) and len(reason.strip()) >= SHORTEST
    require(said, f"{name} is {reason!r}, and should say in a sentence why")


@check("layer", witness=True)
def declared_surrogate(case: LayerCase) -> bool:
    """Where ``surrogate`` is declared backward is not the derivative of forward, in some example."""
    if not case.spec.surrogate:
        not_applicable("the layer declares no surrogate")
    _require_reason(case.spec.surrogate, "surrogate")
    frozen, x = Frozen(case.layer()), case.input()
    cotangent = case.cotangent(frozen.forward(x))
    done = frozen.run_pass(x, cotangent)
    tensors = [(x, done.grad_input)]
    tensors += [(parameter, done.gradients[name]) for name, (parameter, _) in frozen.layer.named_param().items()]
    return any(_differs(frozen, x, tensor, gradient, cotangent, case) for tensor, gradient in tensors)


def _differs(frozen: Frozen, x: Tensor, tensor: Tensor, gradient: Tensor, cotangent: Tensor, case: LayerCase) -> bool:
    direction = case.normal("direction", *tensor.shape)
    numeric = numeric_derivative(lambda: frozen.forward(x), tensor, direction, cotangent)
    scale = float((gradient * direction).abs().sum()) + abs(numeric)
    return abs(numeric - float((gradient * direction).sum())) > 1e-4 * scale + 1e-9


@check("loss", witness=True)
def declared_comparison(case: LossCase) -> bool:
    """Where ``compares_samples`` is declared the loss of a batch is not the mean of its parts, in some example."""
    compares = case.loss().compares_samples
    if compares != bool(case.spec.compares_samples):
        raise CheckFailed(f"compares_samples is {compares} on the loss and {not compares} on its spec; they must agree")
    if not case.spec.compares_samples:
        not_applicable("the loss does not compare the samples of a batch")
    _require_reason(case.spec.compares_samples, "compares_samples")
    try:
        require_mean_of_parts(case, *two_batches(case), "a batch")
    except CheckFailed:
        return True
    return False


@check("optimizer", witness=True)
def declared_coupling(case: OptimizerCase) -> bool:
    """Where ``couples_parameters`` is declared a parameter changes otherwise beside others, in some example."""
    if not case.spec.couples_parameters:
        not_applicable("the optimizer does not couple its parameters")
    _require_reason(case.spec.couples_parameters, "couples_parameters")
    together = next(_runs(case, [case.seed]))
    pairs = case.pairs()[:1]
    optimizer = case.optimizer(pairs)
    for step in range(STEPS):
        pairs[0][1].copy_(case.normal(f"gradient {step}/0", *pairs[0][1].shape))
        optimizer.step()
    return not torch.allclose(pairs[0][0], together[0][0], rtol=1e-9)


@check("optimizer", share=0.6)
def undeclared_random_steps(case: OptimizerCase) -> None:
    """An optimizer that does not declare ``random_steps`` makes the same steps whatever seed its generator has."""
    if case.spec.random_steps:
        not_applicable(f"the steps draw random numbers: {case.spec.random_steps}")
    for (one, _), (other, _) in zip(*_runs(case, [1, 2]), strict=True):
        require_same_bits(one, other, "another seed of its generator gives other steps: declare random_steps?")


@check("optimizer", witness=True)
def declared_random_steps(case: OptimizerCase) -> bool:
    """Where ``random_steps`` is declared another seed gives other steps, and the same one the same, in some example."""
    if not case.spec.random_steps:
        not_applicable("the steps draw no random numbers")
    _require_reason(case.spec.random_steps, "random_steps")
    first, again, other = _runs(case, [1, 1, 2])
    for (one, _), (same, _) in zip(first, again, strict=True):
        require_same_bits(same, one, "the same seed of its generator gives other steps")
    return any(not torch.equal(one, two) for (one, _), (two, _) in zip(first, other, strict=True))


STEPS = 3


def _runs(case: OptimizerCase, seeds: list[int]) -> Iterator[Pairs]:
    """Yield the parameters after some steps, with the generator of each seed."""
    for seed in seeds:
        pairs = case.pairs()
        optimizer = case.optimizer(pairs)
        optimizer.generator.manual_seed(seed)
        steps(case, optimizer, pairs, range(STEPS))
        yield pairs
