"""A program that shows a failure with torch alone."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from layerkit.testing.check import CheckFailed
from layerkit.testing.foreign import routes
from layerkit.testing.foreign.adapters import tensors_in
from layerkit.testing.foreign.battery import ForeignCheck
from layerkit.testing.foreign.cases import Case
from layerkit.testing.foreign.comparing import central_differences, compare, copies
from layerkit.testing.foreign.judging import differences, oracle_agrees
from layerkit.testing.foreign.rounding import ROUNDINGS, SAME, SAME_IN_SINGLE
from layerkit.testing.foreign.slicing import Slice
from layerkit.testing.foreign.trial import LAY_OUT, Prepared, Trial, Variation
from layerkit.testing.foreign.twice import look_twice
from layerkit.testing.instruments.numerics import DOUBLE

MOST_VALUES = 3_000
"""Larger cases have no program: nobody would read it."""


def script_for(trial: Trial, check: ForeignCheck, case: Case, variation: Variation, wrong: CheckFailed) -> str:
    """Return the program for a failure; nothing where one cannot be written."""
    try:
        prepared = trial.prepared(case, variation)
    except Exception:
        return ""
    if sum(value.numel() for value in prepared.plain if isinstance(value, Tensor)) > MOST_VALUES:
        return ""
    used = Slice()
    used.define("torch", torch)
    objects = dict(trial.target.writing.objects)
    if (module := objects.get("module")) is not None and isinstance(module, torch.nn.Module):
        del objects["module"]
        used.define(type(module).__name__, type(module))
        used.parts.append(f"module = {_constructed(module)}")
    for name, what in objects.items():
        used.define(name, what)
    used.define("tensors_in", tensors_in)
    body = _body(trial, check, case, variation, prepared, used)
    missing = [
        f"# {name} is what was given to be checked; its text was not found: put it here" for name in used.missing
    ]
    head = f'"""{trial.target.name}: {check.name}: {wrong.message}"""'.replace("\\", "/")
    return "\n".join([head, "", "from __future__ import annotations", "", used.text(), *missing, "", "", *body, ""])


def _body(
    trial: Trial, check: ForeignCheck, case: Case, variation: Variation, prepared: Prepared, used: Slice
) -> list[str]:
    lines = _call("call", trial.target.writing.expression, trial.target.differentiable, trial.target.dirty)
    values = trial.inputs.values(case)
    needing = trial.inputs.needing if variation.needing is None else variation.needing
    names = [trial.names[index] for index in needing]
    plain = [_written(trial, index, value, index in trial.inputs.needing) for index, value in enumerate(values)]
    if check.look is look_twice:
        lines += ["inputs = [", *plain, "]", "assert torch.autograd.gradgradcheck(call, inputs)"]
        return lines
    for name in {*variation.layouts.values(), *variation.gradient_layouts.values()}:
        used.define(LAY_OUT[name].__name__, LAY_OUT[name])
    used.define(variation.route.__name__, variation.route)
    used.define("straight", routes.straight)
    used.define("copies", copies)
    used.define("compare", compare)
    lines += ["# as they are", "inputs = [", *plain, "]"]
    lines += ["gradients = [", *(f"    {_tensor(c)}," for c in prepared.plain_cotangents), "]"]
    lines += ["", "# as they are given", "given_inputs = ["]
    lines += [_given(i, value, variation.layouts, variation, "inputs", i in needing) for i, value in enumerate(values)]
    lines += ["]", "given_gradients = ["]
    lines += [
        _given(index, cotangent, variation.gradient_layouts, variation, "gradients", False)
        if prepared.cotangents[index] is not None
        else "    None,  # not used"
        for index, cotangent in enumerate(prepared.plain_cotangents)
    ]
    lines += ["]", "", f"analytic = copies({variation.route.__name__}(call, given_inputs, given_gradients))"]
    if check.look is differences:
        used.define("central_differences", central_differences)
        function = "call"
        if trial.declaration.surrogate is not None:
            used.define("surrogate", trial.declaration.surrogate)
            lines += _call("other", "surrogate", None, frozenset())
            function = "other"
        lines += [
            f"expected = central_differences({function}, inputs, gradients, {trial.learned.precision.steps[0]!r})"
        ]
        tolerance = 1e-5 if trial.learned.precision is DOUBLE else 2e-2
    elif check.look is oracle_agrees:
        used.define("oracle", trial.declaration.oracle)
        lines += _call("other", "oracle", None, frozenset())
        lines += ["for mine, its in zip(call(*inputs), other(*inputs), strict=True):"]
        lines += ["    torch.testing.assert_close(mine, its)", "expected = straight(other, inputs, gradients)"]
        tolerance = 1e-9
    else:
        lines += _plain_layouts(variation)
        if variation.layouts:
            lines += ["for mine, its in zip(call(*given_inputs), call(*inputs), strict=True):"]
            lines += ["    torch.testing.assert_close(mine, its)"]
        lines += ["expected = straight(call, inputs, gradients)"]
        if needing != trial.inputs.needing:
            chosen = [trial.inputs.needing.index(index) for index in needing]
            lines += [f"expected = [expected[i] for i in {chosen}]"]
        tolerance = _tolerance(trial, variation)
    return [*lines, f"compare({names!r}, analytic, expected, {tolerance!r})"]


def _tolerance(trial: Trial, variation: Variation) -> float:
    if variation.dtype is None:
        return SAME if trial.learned.precision is DOUBLE else SAME_IN_SINGLE
    lower = torch.bfloat16 if variation.route is not routes.straight else variation.dtype
    return ROUNDINGS[lower] * torch.finfo(lower).eps


def _call(name: str, expression: str, chosen: tuple[int, ...] | None, dirty: frozenset[int]) -> list[str]:
    """Return the definition of a function that returns a list of tensors."""
    copies = f"[x.clone() if i in {sorted(dirty)} else x for i, x in enumerate(inputs)]" if dirty else "inputs"
    outputs = f"tensors_in({expression}(*{copies}))"
    picked = outputs if chosen is None else f"[{outputs}[i] for i in {chosen}]"
    return [f"def {name}(*inputs):", "    torch.manual_seed(0)", f"    return {picked}", "", ""]


def _written(trial: Trial, index: int, value: Any, needs: bool) -> str:
    if not isinstance(value, Tensor):
        return f"    {value!r},  # {trial.names[index]}"
    text = _tensor(value) + (".requires_grad_()" if needs else "")
    return f"    {text},  # {trial.names[index]}"


def _tensor(value: Tensor) -> str:
    numbers = repr(value.detach().tolist()).replace("nan", 'float("nan")').replace("inf", 'float("inf")')
    shape = f".reshape({tuple(value.shape)})" if not value.numel() else ""
    return f"torch.tensor({numbers}, dtype={value.dtype}){shape}"


def _given(index: int, value: Any, layouts: dict[int, str], variation: Variation, where: str, needs: bool) -> str:
    """Return how an input, or the gradient of an output, is made of the plain one."""
    here = f"{where}[{index}]"
    if not isinstance(value, Tensor):
        return f"    {here},"
    text = f"{here}.detach()"
    if variation.dtype is not None and value.is_floating_point():
        text += f".to({variation.dtype})"
    if index in layouts:
        text = f"{LAY_OUT[layouts[index]].__name__}({text})"
    return f"    {text}" + (".requires_grad_()," if needs else ",")


def _plain_layouts(variation: Variation) -> list[str]:
    """Return lines that make the plain tensors hold what the given ones do: rounded, expanded."""
    if variation.dtype is None and not variation.layouts and not variation.gradient_layouts:
        return []
    return [
        "# the same numbers, contiguous and in double precision",
        "inputs = [",
        "    x.detach().to(p.dtype).clone(memory_format=torch.contiguous_format).requires_grad_(p.requires_grad)",
        "    if isinstance(x, torch.Tensor) else x",
        "    for x, p in zip(given_inputs, inputs)",
        "]",
        "gradients = [",
        "    p if g is None else g.to(p.dtype).clone(memory_format=torch.contiguous_format)",
        "    for g, p in zip(given_gradients, gradients)",
        "]",
    ]


def _constructed(module: torch.nn.Module) -> str:
    """Return how a module of this class is made, with the arguments that it keeps under their own names."""
    import inspect

    kept = []
    for name, parameter in list(inspect.signature(type(module).__init__).parameters.items())[1:]:
        value = getattr(module, name, ...)
        if isinstance(value, bool | int | float | str | tuple):
            kept.append(f"{name}={value!r}")
        elif parameter.default is parameter.empty and parameter.kind is parameter.POSITIONAL_OR_KEYWORD:
            kept.append(f"{name}=...")
    return f"{type(module).__name__}({', '.join(kept)})"
