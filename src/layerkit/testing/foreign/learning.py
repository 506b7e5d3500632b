"""Finds out by trying what nobody has declared: what a target takes, and what it does."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from layerkit.testing.check import CheckFailed, NotApplicable
from layerkit.testing.foreign.adapters import tensors_in
from layerkit.testing.foreign.battery import LARGE
from layerkit.testing.foreign.cases import BATCH, Case, Inputs
from layerkit.testing.foreign.declaration import Declaration
from layerkit.testing.foreign.rounding import norm_of
from layerkit.testing.foreign.target import Target
from layerkit.testing.foreign.trial import Learned, Trial, Variation
from layerkit.testing.instruments.crash import crash
from layerkit.testing.instruments.numerics import DOUBLE, SINGLE

OTHER_SIZES = (1, 0, 2, 37)
"""Sizes that are tried in place of each of the example's, and a large one."""
MOST_VALUES = 20_000
"""Cases with more values than this are left out."""
SEEDS = (1, 2, 3)
SPREADS = (4.0, 0.25, 12.0)
CONSTANTS = (0.0, 1.0)
LOWER_DTYPES = (torch.float32, torch.float16, torch.bfloat16)


def learn(target: Target, declaration: Declaration) -> Trial:
    """Return the trial of a target, with what was found out.

    Raises:
        CheckFailed: when its example does not work.
    """
    target, dtype = _with_dtype(target, declaration)
    inputs = Inputs(target.arguments, dtype, declaration.seed)
    if not inputs.needing:
        raise CheckFailed("no input needs a gradient: give a tensor of floats, and requires_grad=True if any has it")
    target, notes = _with_effects(target, inputs)
    learned = Learned(dtype=dtype, notes=[f"computes in {_short(dtype)}", *notes])
    trial = Trial(target, inputs, declaration, learned)
    _repeat(trial)
    # What is wrong with the example's own gradients is for a check to say; that it has some is needed by all.
    prepared = trial.prepared(Case(), Variation())
    sent = norm_of(prepared.plain_cotangents) or 1.0
    learned.gains = [norm_of([gradient]) / sent for gradient in trial.expected(prepared)]
    _learn_cases(trial)
    _learn_dtypes(trial)
    _learn_mixing(trial)
    return trial


def _with_dtype(target: Target, declaration: Declaration) -> tuple[Target, torch.dtype]:
    """Return the dtype of the checks: float64 where the target takes it."""
    errors = []
    for dtype in (torch.float64, torch.float32):
        inputs = Inputs(target.arguments, dtype, declaration.seed)
        values = inputs.values(Case())
        try:
            with torch.no_grad():
                outputs = tensors_in(target.function(*[v.clone() if isinstance(v, Tensor) else v for v in values]))
        except Exception as error:
            errors.append(crash(error))
            continue
        if not outputs:
            raise CheckFailed("it returns no tensor of floats, nor a tuple, list or dict with one")
        return target, dtype
    raise CheckFailed(f"forward raises for the example: {errors[0]}")


def _with_effects(target: Target, inputs: Inputs) -> tuple[Target, list[str]]:
    """Return the target with its differentiable outputs and the arguments that it changes on purpose."""
    values = [
        value.requires_grad_(index in inputs.needing) if isinstance(value, Tensor) else value
        for index, value in enumerate(inputs.values(Case()))
    ]
    held = [value.clone() if isinstance(value, Tensor) else value for value in values]
    before = [value.grad_fn if isinstance(value, Tensor) else None for value in held]
    kept = [value.detach().clone() if isinstance(value, Tensor) else value for value in held]
    outputs = tensors_in(target.function(*held))
    dirty = frozenset(
        index
        for index, value in enumerate(held)
        if isinstance(value, Tensor) and index in inputs.needing and value.grad_fn is not before[index]
    )
    spoilt = frozenset(
        index
        for index, value in enumerate(held)
        if isinstance(value, Tensor) and index not in dirty and not torch.equal(value.detach(), kept[index])
    )
    differentiable = tuple(index for index, output in enumerate(outputs) if output.requires_grad)
    if not differentiable:
        raise CheckFailed("no output requires a gradient, although an input does: the graph is cut in forward")
    names = [argument.name for argument in target.arguments]
    notes = [f"changes {', '.join(names[i] for i in sorted(dirty))} in place, and says so"] if dirty else []
    if len(differentiable) < len(outputs):
        without = [str(i) for i in range(len(outputs)) if i not in differentiable]
        notes.append(f"outputs without a gradient: {', '.join(without)}")
    chosen = None if len(differentiable) == len(outputs) else differentiable
    return replace(target, differentiable=chosen, dirty=dirty, spoilt=spoilt), notes


def _repeat(trial: Trial) -> None:
    """Find out whether it draws random numbers, and whether it is precise."""
    values = trial.inputs.values(Case())
    with torch.no_grad():
        first, second = trial.call(*values), trial.call(*values)
        if any(not torch.equal(torch.nan_to_num(a), torch.nan_to_num(b)) for a, b in zip(first, second, strict=True)):
            raise CheckFailed(
                "two calls with the same input give different outputs, although the global random generators of torch, "
                "numpy and Python are put to the same seed: make a generator of its own inside of the function"
            )
        copies = [v.clone() if isinstance(v, Tensor) else v for v in values]
        third = tensors_in(trial.target.function(*copies))  # without a seed
    third = [third[i] for i in trial.target.differentiable] if trial.target.differentiable else third
    learned = trial.learned
    learned.stochastic = any(not torch.equal(a, b) for a, b in zip(first, third, strict=True) if a.isfinite().all())
    learned.notes.append("draws random numbers" if learned.stochastic else "draws no random numbers")
    exact = learned.dtype is torch.float64
    if exact and all(torch.equal(o, o.float().double()) and bool((o != o.round()).any()) for o in first if o.numel()):
        learned.notes.append("its values have no more than the digits of float32, whatever the dtype of its inputs")
        exact = False
    learned.precision = DOUBLE if exact else SINGLE


def _learn_cases(trial: Trial) -> None:
    """Find out which other values and sizes it takes."""
    taken = trial.learned.cases
    others = [Case(seed=seed) for seed in SEEDS if _takes(trial, Case(seed=seed))]
    taken += others
    if not others:
        trial.learned.notes.append("takes the example's own values alone, and none that are like them")
        return
    taken += [Case(seed=4, spread=spread) for spread in SPREADS if _takes(trial, Case(seed=4, spread=spread))]
    if trial.learned.precision is DOUBLE:  # such points may be steep, and differences in float32 say nothing there
        taken += [Case(constant=constant) for constant in CONSTANTS if _takes(trial, Case(constant=constant))]
    accepted: dict[str, list[int]] = {}
    for case in _resized(trial.inputs):
        name, size = case.sizes[0]
        if _takes(trial, case):
            taken.append(case)
            accepted.setdefault(name, []).append(size)
    for name, sizes in accepted.items():
        trial.learned.notes.append(f"{name} may be {', '.join(map(str, sizes))}")


def _resized(inputs: Inputs) -> Iterator[Case]:
    """Yield cases with one other size each; two names of the same sizes give them once."""
    seen = set()
    for number, (name, size) in enumerate(inputs.sizes.items()):
        for other in (*OTHER_SIZES, LARGE):
            case = Case(seed=5 + number, sizes=((name, other),))
            shapes = tuple(tuple(v.shape) for v in inputs.values(case) if isinstance(v, Tensor))
            if other != size and shapes not in seen and sum(map(math.prod, shapes)) <= MOST_VALUES:
                seen.add(shapes)
                yield case


def _takes(trial: Trial, case: Case) -> bool:
    try:
        trial.prepared(case, Variation())
    except NotApplicable:
        return False
    return True


def _learn_dtypes(trial: Trial) -> None:
    learned = trial.learned
    refused = []
    for dtype in LOWER_DTYPES:
        if dtype is learned.dtype:
            continue
        error = _refusal(trial, lambda values: trial.call(*values), dtype)
        if error:
            refused.append(f"{_short(dtype)} ({error})")
        else:
            learned.dtypes.append(dtype)

    def under_autocast(values: list[Any]) -> list[Tensor]:
        with torch.autocast("cpu", torch.bfloat16):
            return trial.call(*values)

    learned.autocast = not _refusal(trial, under_autocast, torch.float32)
    taken = [_short(dtype) for dtype in learned.dtypes] + (["autocast"] if learned.autocast else [])
    learned.notes.append(f"takes {', '.join(taken)}" if taken else "takes no other dtype")
    learned.notes += [f"refuses {text}" for text in refused]


def _refusal(trial: Trial, call: Callable[[list[Any]], list[Tensor]], dtype: torch.dtype) -> str:
    """Return why forward does not take a dtype, or nothing."""
    values = [
        value.to(dtype) if isinstance(value, Tensor) and value.is_floating_point() else value
        for value in trial.inputs.values(Case())
    ]
    try:
        with torch.no_grad():
            outputs = call(values)
    except Exception as error:
        return crash(error.__cause__ or error)
    return "" if all(bool(output.isfinite().all()) for output in outputs) else "its values are not finite"


def _learn_mixing(trial: Trial) -> None:
    """Find out whether the other samples' outputs change with the first sample."""
    values = trial.inputs.values(Case())
    first = values[trial.inputs.needing[0]]
    if BATCH not in trial.inputs.sizes and "batch" not in trial.inputs.sizes:
        return
    if not first.dim() or first.shape[0] < 2 or trial.learned.stochastic:
        return
    with torch.no_grad():
        before = trial.call(*values)
        changed = first.clone()
        changed[0] = 0.7 * changed[0] + 0.1
        values[trial.inputs.needing[0]] = changed
        after = trial.call(*values)
    batched = [o for o in before if o.dim() and o.shape[0] == first.shape[0]]
    if not batched or len(batched) < len(before):
        return
    mixes = any(not torch.allclose(a[1:], b[1:], 1e-9, 1e-12) for a, b in zip(before, after, strict=True))
    trial.learned.mixes_batch = mixes
    trial.learned.notes.append("mixes the samples of a batch" if mixes else "keeps the samples of a batch apart")


def _short(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
