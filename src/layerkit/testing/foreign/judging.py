"""Whether the gradients of a target are what they should be, and what to say where they are not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from layerkit.testing.check import CheckFailed, NotApplicable, Rejected
from layerkit.testing.foreign.adapters import tensors_in
from layerkit.testing.foreign.cases import BATCH, Case
from layerkit.testing.foreign.rounding import ROUNDINGS, allowed
from layerkit.testing.foreign.routes import straight
from layerkit.testing.foreign.trial import ForwardFailed, Prepared, Trial, Variation
from layerkit.testing.instruments.guesses import guess
from layerkit.testing.instruments.layouts import EXPANSIONS
from layerkit.testing.instruments.numerics import (
    DOUBLE,
    GAP,
    Evaluate,
    check_directions,
    numeric_derivative,
    one_sided,
)
from layerkit.testing.instruments.observation import settings_put_back


def differences(trial: Trial, case: Case, variation: Variation) -> None:
    """Hold the gradients of a plain pass against differences of forward, or of what is declared as its surrogate.

    Raises:
        CheckFailed: when they are wrong.
        Rejected: when there is no derivative.
        NotApplicable: when forward refuses the values.
    """
    prepared = trial.prepared(case, variation)
    analytic = trial.expected(prepared)
    evaluate, work, cotangent = _evaluation(trial, prepared)
    counts = _counts(trial, prepared)
    generator = torch.Generator().manual_seed(case.seed)
    precision = trial.learned.precision
    for index, gradient in zip(trial.inputs.needing, analytic, strict=True):
        what = f"the gradient of {trial.names[index]}"
        if gradient is None and not work[index].numel():
            continue
        try:
            check_directions(
                evaluate,
                work[index],
                torch.zeros_like(work[index]) if gradient is None else gradient.detach(),
                cotangent,
                what
                if gradient is not None
                else f"no gradient of {trial.names[index]} is returned, which stands for zero",
                generator,
                kinked=trial.declaration.kinked is not False and precision is DOUBLE and case.constant is None,
                counts=counts,
                samples=BATCH in trial.inputs.sizes,
                precision=precision,
            )
        except CheckFailed as wrong:
            if case.constant is not None and not _has_a_derivative(evaluate, work[index], cotangent, generator):
                raise Rejected from None  # a special point, where there is no derivative or rounding is all there is
            if case.spread > 1 and _is_saturated(wrong, cotangent):
                raise NotApplicable("the function is flat at values of this size") from None
            raise _with_advice(wrong, gradient) from None
        except ForwardFailed as error:
            raise NotApplicable("forward refuses values beside these") from error


def _is_saturated(wrong: CheckFailed, cotangent: Tensor) -> bool:
    """Return whether next to nothing is left of a gradient, so that a safe form and the exact one may differ."""
    left = max(abs(wrong.analytic or 0.0), abs(wrong.numeric or 0.0))
    return wrong.analytic is not None and left < 1e-5 * float(cotangent.abs().max())


PAIRS = 8
FLAT = 1e-4
"""Differences from both sides that are smaller than this are those of a function that is flat here."""


def _has_a_derivative(evaluate: Evaluate, tensor: Tensor, cotangent: Tensor, generator: torch.Generator) -> bool:
    """Return whether differences from both sides agree along pairs of directions, and add up along their sums."""
    for _ in range(PAIRS):
        first, second = (torch.randn(tensor.shape, generator=generator, dtype=tensor.dtype) for _ in range(2))
        slopes = []
        for direction in (first, second, first + second):
            left, right = one_sided(evaluate, tensor, direction, cotangent)
            if not abs(left - right) <= max(FLAT, GAP * max(abs(left), abs(right))):  # nor where they are infinite
                return False
            slopes.append((left + right) / 2)
        if not abs(slopes[0] + slopes[1] - slopes[2]) <= max(FLAT, GAP * max(map(abs, slopes))):
            return False
    return True


def _reject_ties(trial: Trial, prepared: Prepared, variation: Variation, index: int) -> None:
    """Reject a case that repeats values, where there may be no derivative and several gradients may be right."""
    if not any(layout in EXPANSIONS for layout in variation.layouts.values()):
        return
    evaluate, work, cotangent = _evaluation(trial, prepared)
    generator = torch.Generator().manual_seed(0)
    if not all(_has_a_derivative(evaluate, work[i], cotangent, generator) for i in trial.inputs.needing):
        raise Rejected


def _with_advice(wrong: CheckFailed, gradient: Tensor | None) -> CheckFailed:
    advice = wrong.guess
    if gradient is None:
        advice = "backward returns None for it; if that is on purpose, give the others requires_grad=True, and not it"
    elif wrong.numeric == 0 and wrong.analytic:
        advice = (
            "forward is flat here: if another gradient is on purpose, declare surrogate=, the function it belongs to"
        )
    return CheckFailed(wrong.message, analytic=wrong.analytic, numeric=wrong.numeric, guess=advice)


def agreement(trial: Trial, case: Case, variation: Variation) -> None:
    """Hold the gradients that a variation asks for against those of a plain pass.

    Raises:
        CheckFailed: when they differ.
        NotApplicable: when forward refuses, or numbers become too large for the dtype.
    """
    prepared = trial.prepared(case, variation)
    expected = trial.expected(prepared)
    if variation.layouts:
        _require_same_outputs(trial, prepared)
    given = trial.given(prepared, variation)
    if given is None:
        return
    lower = variation.dtype if variation.dtype in ROUNDINGS else None
    if lower is torch.float32 and variation.route is not straight:
        lower = torch.bfloat16  # of autocast
    most = dict(zip(trial.inputs.needing, allowed(trial, prepared, expected, lower), strict=True))
    truths = dict(zip(trial.inputs.needing, expected, strict=True))
    needing = trial.inputs.needing if variation.needing is None else variation.needing
    for index, mine in zip(needing, given, strict=True):
        truth = truths[index]
        truth = torch.zeros_like(prepared.plain[index]) if truth is None else truth.detach()
        mine = torch.zeros_like(truth) if mine is None else mine.detach().to(truth.dtype)
        if lower is not None and truth.numel() and truth.abs().max() > torch.finfo(lower).max / 8:
            raise NotApplicable(f"the gradients are too large for {lower}")
        wrong = (
            (mine - truth).norm() if lower is not None else (mine - truth).abs().max() if mine.numel() else mine.sum()
        )
        if not bool(wrong <= most[index]):
            _reject_ties(trial, prepared, variation, index)
            _fail(trial, prepared, variation, index, mine, truth)


def inputs_are_kept(trial: Trial, case: Case, variation: Variation) -> None:
    """Look whether inputs are written into; all other checks give copies of those that forward spoils."""
    if trial.target.spoilt:
        names = ", ".join(trial.names[index] for index in sorted(trial.target.spoilt))
        raise CheckFailed(f"forward has changed {names}")
    agreement(trial, case, variation)


def settings_are_kept(trial: Trial, case: Case, variation: Variation) -> None:
    """Look whether a call changes settings, which an earlier one may have changed already."""
    with settings_put_back():
        prepared = trial.prepared(case, variation)
    trial.given(prepared, variation)


def _require_same_outputs(trial: Trial, prepared: Prepared) -> None:
    try:
        with torch.no_grad():
            pairs = zip(trial.call(*prepared.values), trial.call(*prepared.plain), strict=True)
    except ForwardFailed:
        return  # what the pass itself will say
    for number, (given, truth) in enumerate(pairs):
        if truth.numel() and not bool((given - truth).abs().max() <= 1e-4 * (1e-3 + truth.abs().max())):
            raise CheckFailed(f"output {number} is another", guess=guess(given, truth))


def oracle_agrees(trial: Trial, case: Case, variation: Variation) -> None:
    """Hold outputs and gradients against those of the oracle, differentiated by torch."""
    oracle = trial.declaration.oracle
    assert oracle is not None
    prepared = trial.prepared(case, variation)
    with torch.no_grad():
        mine, its = trial.call(*prepared.plain), tensors_in(oracle(*prepared.plain))
    if [o.shape for o in mine] != [o.shape for o in its]:
        raise CheckFailed(f"the oracle's outputs are {_shapes(its)}, these are {_shapes(mine)}")
    for number, (given, truth) in enumerate(zip(mine, its, strict=True)):
        if truth.numel() and not bool((given - truth).abs().max() <= 1e-9 * (1e-3 + truth.abs().max())):
            raise CheckFailed(f"output {number} is not the oracle's", guess=guess(given, truth))

    def call(*values: Any) -> list[Tensor]:
        return tensors_in(oracle(*values))

    truths = straight(call, prepared.plain, prepared.plain_cotangents)
    for index, given_, truth_ in zip(trial.inputs.needing, trial.expected(prepared), truths, strict=True):
        truth = torch.zeros_like(prepared.plain[index]) if truth_ is None else truth_
        given = torch.zeros_like(truth) if given_ is None else given_
        if truth.numel() and not bool((given - truth).abs().max() <= 1e-8 * (1e-3 + truth.abs().max())):
            _fail(trial, prepared, variation, index, given, truth)


def _shapes(outputs: list[Tensor]) -> str:
    return ", ".join(str(tuple(output.shape)) for output in outputs)


def _evaluation(trial: Trial, prepared: Prepared) -> tuple[Evaluate, list[Any], Tensor]:
    """Return what gives all outputs in a row, the arguments that it reads, and the gradient of the row."""
    work = [value.detach().clone() if isinstance(value, Tensor) else value for value in prepared.plain]
    surrogate: Callable[..., Any] | None = trial.declaration.surrogate

    def evaluate() -> Tensor:
        outputs = tensors_in(surrogate(*work)) if surrogate else trial.call(*work)
        return torch.cat([output.reshape(-1).double() for output in outputs])

    cotangent = torch.cat([c.reshape(-1).double() for c in prepared.plain_cotangents])
    return evaluate, work, cotangent


def _fail(trial: Trial, prepared: Prepared, variation: Variation, index: int, given: Tensor, expected: Tensor) -> None:
    """Say which value of a gradient is most wrong, what differences make of it, and what it looks like."""
    difference = (given - expected).abs().nan_to_num(nan=torch.inf).flatten()
    worst = int(difference.argmax())
    where = tuple(int(i) for i in torch.unravel_index(torch.tensor(worst), given.shape)) if given.dim() else ()
    wrong = int((difference > 1e-3 * (1e-9 + expected.abs().max())).sum())
    raise CheckFailed(
        f"the gradient of {trial.names[index]}: {wrong or 1} of {given.numel()} values are wrong, most of all the one "
        f"at {where}",
        analytic=float(given.flatten()[worst]),
        numeric=_numeric(trial, prepared, index, worst, float(expected.flatten()[worst])),
        guess=_reads_memory(trial, prepared, variation, index, given)
        if variation.layouts or variation.gradient_layouts
        else guess(given, expected, _counts(trial, prepared), samples=BATCH in trial.inputs.sizes)
        if variation.route is straight
        else "",
    )


def _numeric(trial: Trial, prepared: Prepared, index: int, place: int, otherwise: float) -> float:
    """Return the central difference for one value of an argument; where there is none, what the plain pass gives."""
    try:
        with torch.no_grad():
            evaluate, work, cotangent = _evaluation(trial, prepared)
            direction = torch.zeros_like(work[index])
            direction.view(-1)[place] = 1.0
            step = trial.learned.precision.steps[0]
            found = numeric_derivative(evaluate, work[index], direction, cotangent, step)
    except ForwardFailed:
        return otherwise
    # At a kink a difference says something else than the gradient of the plain pass, which the other is held to.
    return found if abs(found - otherwise) <= 1e-3 * (1 + abs(otherwise)) else otherwise


def _reads_memory(trial: Trial, prepared: Prepared, variation: Variation, index: int, given: Tensor) -> str:
    """Return a guess where the wrong gradient is that of memory read as if it were contiguous; else nothing."""
    values = [_as_if_contiguous(value) if isinstance(value, Tensor) else value for value in prepared.values]
    cotangents = [None if c is None else _as_if_contiguous(c) for c in prepared.cotangents]
    what = "the gradient" if variation.gradient_layouts else "an input"
    try:
        read = straight(trial.call, values, cotangents)
    except Exception:
        return ""
    needing = trial.inputs.needing if variation.needing is None else variation.needing
    its = read[needing.index(index)]
    if its is not None and torch.allclose(its.to(given.dtype), given, rtol=1e-9, atol=1e-12):
        return f"the memory of {what} is read as if it were contiguous: use its strides, or .contiguous()"
    return ""


def _as_if_contiguous(value: Tensor) -> Tensor:
    """Return what a kernel reads that knows of no strides; the value itself where there is too little memory."""
    last = value.storage_offset() + value.numel()
    if last * value.element_size() > value.untyped_storage().nbytes():
        return value
    strides = torch.empty(value.shape, device="meta").stride()
    read = value.detach().as_strided(value.shape, strides, value.storage_offset()).clone()
    return read.requires_grad_(value.requires_grad)


def _counts(trial: Trial, prepared: Prepared) -> dict[str, int]:
    """Return the numbers that people divide or multiply a gradient by when they should not."""
    counts = {}
    for number, cotangent in enumerate(prepared.plain_cotangents):
        if cotangent.dim():
            counts[f"number of values of output {number}"] = cotangent.numel()
    for name, value in zip(trial.names, prepared.plain, strict=True):
        if isinstance(value, Tensor):
            counts |= {f"size {dim} of {name}": size for dim, size in enumerate(value.shape)}
    return counts
