"""Checks optimizers of torch's kind."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Mapping
from types import FunctionType
from typing import Any

import torch
from torch.optim import Optimizer

from layerkit.errors import UserError
from layerkit.testing.foreign import optimizing
from layerkit.testing.foreign.optimizing import Make, same, starts, steps
from layerkit.testing.foreign.report import GradientReport, Looked, WrongGradients
from layerkit.testing.foreign.slicing import Slice
from layerkit.testing.foreign.target import generators_put_back
from layerkit.testing.instruments.crash import crash
from layerkit.testing.results import Failure, expected_or_not

_NO_CLOSURE = inspect.Parameter("closure", inspect.Parameter.POSITIONAL_OR_KEYWORD, default=None)
_HELPERS = {"starts", "slope", "height", "steps", "same"}
CHECKS: tuple[Callable[[Make], None], ...] = tuple(
    value
    for name, value in vars(optimizing).items()
    if isinstance(value, FunctionType) and value.__module__ == optimizing.__name__ and name not in _HELPERS
)
"""In the order of the file."""


def check_optimizer(
    make: Callable[[Any], Optimizer],
    *,
    reference: Callable[[Any], Optimizer] | None = None,
    known_failures: Mapping[str, str] | None = None,
    raises: bool = True,
) -> GradientReport:
    """Check an optimizer of the kind of ``torch.optim``.

    Args:
        make: makes one for a list of parameters, or of groups: ``lambda parameters: MySGD(parameters, lr=0.1)``.
        reference: makes one that must make the same steps, such as torch's own.
        known_failures: reasons by check. They are strict: one that passes is a failure.
        raises: whether a failure is raised.

    Returns:
        What was found: a result for each check.

    Raises:
        WrongGradients: with the whole report as its text, when any check failed.
        UserError: when ``make`` makes no optimizer, or a known failure names no check.
    """
    began, known = time.perf_counter(), known_failures or {}
    checks = list(CHECKS)
    if reference is not None:
        other = reference

        def steps_of_the_reference(make: Make) -> None:
            """The steps are those of the reference."""
            first, second = starts(), starts()
            same(steps(make(first), first, 20), steps(other(second), second, 20), "beside the reference", 1e-8)

        checks.append(steps_of_the_reference)
    for name in known:
        if name not in [check.__name__ for check in checks]:
            raise UserError(f'known_failures names the check "{name}"; there is none of that name')
    made = make(starts())
    if not isinstance(made, Optimizer):
        raise UserError(f"an optimizer is a torch.optim.Optimizer, and {type(made).__name__} is none")
    if inspect.signature(made.step).parameters.get("closure", _NO_CLOSURE).default is inspect.Parameter.empty:
        raise UserError(f"{type(made).__name__} cannot make a step without a closure, and so cannot be checked")
    with generators_put_back(), torch.enable_grad():
        results = [_looked(check, make) for check in checks]
    results = [expected_or_not(result, known.get(result.check, "")) for result in results]
    report = GradientReport(type(made).__name__, "optimizer", tuple(results), (), (), time.perf_counter() - began)
    if raises and report.failures:
        raise WrongGradients(report)
    return report


def _looked(check: Callable[[Make], None], make: Make) -> Looked:
    began = time.perf_counter()
    statement = " ".join((check.__doc__ or "").split())
    try:
        check(make)
    except Exception as error:
        said = str(error) if isinstance(error, AssertionError) else crash(error)
        seconds = time.perf_counter() - began
        script = _script(check, make, said)
        return Looked(check.__name__, statement, "failed", "", 1, 0, seconds, Failure(said), script)
    return Looked(check.__name__, statement, "passed", "", 1, 0, time.perf_counter() - began)


def _script(check: Callable[[Make], None], make: Make, said: str) -> str:
    used = Slice()
    used.define("torch", torch)
    used.define(check.__name__, check)
    used.define("make", make)
    missing = [
        f"# {name} is what was given to be checked; its text was not found: put it here" for name in used.missing
    ]
    head = f'"""{check.__name__}: {said}"""'
    end = f"{check.__name__}(make)"
    return "\n".join([head, "", "from __future__ import annotations", "", used.text(), *missing, "", "", end, ""])
