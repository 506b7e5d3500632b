"""All checks, in the order in which they are run and reported."""

from __future__ import annotations

import difflib
from types import ModuleType

from layerkit.contracts.specs import KindName
from layerkit.errors import UserError
from layerkit.testing.check import Check
from layerkit.testing.checks import (
    beginnings,
    composition,
    declarations,
    determinism,
    gradients,
    large,
    layout,
    loss_bounds,
    losses,
    memory,
    noise_draws,
    noises,
    on_purpose,
    optimizer_runs,
    optimizers,
    oracle,
    persistence,
    processes,
    registration,
    resuming,
    schedules,
    sequences,
    shapes,
    state,
    surroundings,
    threads,
)


def _checks_in(*modules: ModuleType) -> tuple[Check, ...]:
    return tuple(value for module in modules for value in vars(module).values() if isinstance(value, Check))


BATTERY: tuple[Check, ...] = _checks_in(
    registration,
    determinism,
    shapes,
    gradients,
    composition,
    large,
    beginnings,
    state,
    memory,
    declarations,
    processes,
    layout,
    persistence,
    resuming,
    threads,
    losses,
    loss_bounds,
    optimizers,
    optimizer_runs,
    noises,
    noise_draws,
    schedules,
    sequences,
    surroundings,
    on_purpose,
    oracle,
)


def checks_for(kind: KindName) -> tuple[Check, ...]:
    """Return the battery of one kind of component."""
    return tuple(check for check in BATTERY if kind in check.kinds)


def check_named(name: str) -> Check:
    """Return the check of that name.

    Raises:
        UserError: when there is none.
    """
    for check in BATTERY:
        if check.name == name:
            return check
    near = difflib.get_close_matches(name, [check.name for check in BATTERY], n=1)
    hint = f'did you mean "{near[0]}"?' if near else "layerkit conformance --checks lists them"
    raise UserError(f'unknown check "{name}"; {hint}')
