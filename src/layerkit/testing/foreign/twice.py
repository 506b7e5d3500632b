"""Gradients that are differentiated once more."""

from __future__ import annotations

from dataclasses import replace

from layerkit.testing.check import CheckFailed, NotApplicable, Rejected
from layerkit.testing.foreign.adapters import differentiated
from layerkit.testing.foreign.cases import Case, Inputs
from layerkit.testing.foreign.judging import differences
from layerkit.testing.foreign.target import Argument, Target, Writing
from layerkit.testing.foreign.trial import Learned, Trial, Variation


def look_twice(trial: Trial, case: Case, variation: Variation) -> None:
    """Hold the gradients of the gradients against differences of the gradients.

    Raises:
        CheckFailed: when they are wrong, missing or refused.
    """
    prepared = trial.prepared(case, variation)
    names = [*trial.names, *(f"the gradient of output {index}" for index in range(len(prepared.plain_cotangents)))]
    values = [*prepared.plain, *(c.clone().requires_grad_() for c in prepared.plain_cotangents)]
    needing, count = trial.inputs.needing, len(trial.names)
    arguments = tuple(Argument(name, value) for name, value in zip(names, values, strict=True))
    writing = Writing(
        f"differentiated(first, {needing!r}, {count})",
        {"first": trial.target.writing, "differentiated": differentiated},
    )
    target = Target(
        trial.target.name,
        "function",
        differentiated(trial.target.call, needing, count),
        arguments,
        writing,
    )
    learned = Learned(dtype=trial.learned.dtype, precision=trial.learned.precision)
    declaration = replace(trial.declaration, oracle=None, surrogate=None)
    second = Trial(target, Inputs(arguments, learned.dtype, 0), declaration, learned)
    differences(second, Case(), Variation())


def second_derivatives(trial: Trial) -> str:
    """Return what the second derivatives are, in words: right, wrong, refused."""
    try:
        look_twice(trial, Case(), Variation())
    except NotApplicable as reason:
        return f"not tried: {reason}"
    except Rejected:
        return "not compared, at a point without a derivative"
    except CheckFailed as wrong:
        if "once_differentiable" in wrong.message:
            return "refused, by once_differentiable"
        if "no output requires a gradient" in wrong.message:
            return "none: a gradient does not depend on anything any more"
        return f"WRONG without a word ({wrong.message}); backward should be right twice, or marked once_differentiable"
    return "right"
